"""Flows: what a person runs, the command line and the Prefect flows.

Nothing imports from here but tests. What a notebook would use belongs to ``engine`` or ``models``.
"""
