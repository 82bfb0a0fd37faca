"""Spectrum commands: what ``whyspec explain`` and ``whyspec show`` do and show.

Import ``chosen_spectrum``, ``explain_spectrum`` and ``stored_spectrum``. Attribution belongs to
``engine.attribution``, figures to ``engine.figures``.
"""
