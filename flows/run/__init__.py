"""Runs: requests, preparation and summaries of ``whyspec plan`` and ``whyspec run``.

Import ``request``, ``preparation`` and ``execution``. How a block is computed belongs to ``engine.run``.
"""
