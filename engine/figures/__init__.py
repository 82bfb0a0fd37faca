"""Figures: pictures of one explained spectrum, and what all pictures share.

Import ``explanation`` and ``explained_spectrum``. Pages belong to ``engine.report``.
"""
