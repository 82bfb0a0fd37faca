"""Flows: what a person runs, the command line and the Prefect flows.

Only ``whyspec.py`` and tests import from here. What a notebook would use belongs to ``engine`` or ``models``.
"""
