"""Tasks: what Prefect sees of a run, its block groups as tasks and its progress as artifacts.

Only flows that run on a Prefect server import from here. What a task computes belongs to ``engine``.
"""
