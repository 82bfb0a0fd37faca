"""Evaluation: what a model finds, and what an explanation shows, of injected anomalies.

Import ``detection``, ``explained_injections`` and ``results``. No part of a run imports it.
"""
