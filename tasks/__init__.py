"""Tasks: Prefect tasks, one step of a flow on one unit of work, and those who watch a run.

Only ``flows`` imports from here. What a step computes belongs to ``engine``.
"""
