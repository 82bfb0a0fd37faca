"""Causes: templates of what makes spectra odd, each searched for by its matched filter.

Import ``bank``, or ``names``, which needs no torch. How causes join the score belongs to ``models.scoring``;
nothing here knows a model.
"""
