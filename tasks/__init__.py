"""Prefect tasks: one step of a flow on one unit of work."""
