"""Occlusion: inverse multiscale occlusion, by seams or by full forward passes.

Import it through ``engine.attribution.method``. Windows belong here; scales belong to every method.
"""
