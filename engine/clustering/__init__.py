"""Clustering: groups of explanations, from rest-frame features to stability.

Import ``pipeline`` and ``settings``. What a single explanation is belongs to ``engine.attribution``.
"""
