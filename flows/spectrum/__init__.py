"""Spectrum commands: what ``whyspec explain`` does and shows.

Import ``explain_spectrum``. Attribution belongs to ``engine.attribution``.
"""
