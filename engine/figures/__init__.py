"""Figures: pictures of one explained spectrum, and what all pictures share.

Import ``explanation`` and ``embedding``. Pages belong to ``engine.report``.
"""
