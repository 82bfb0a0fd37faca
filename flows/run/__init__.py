"""Runs: requests, preparation and summaries of ``whyspec plan`` and ``whyspec run``.

Import ``run_request`` and ``preparation``. How a block is computed belongs to ``engine.run``.
"""
