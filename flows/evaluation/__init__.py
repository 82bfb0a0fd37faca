"""Evaluation commands: what ``whyspec evaluate`` does and shows.

Import ``evaluate``. The measures belong to ``engine.evaluation``.
"""
