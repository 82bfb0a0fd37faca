"""Benchmarks: seconds and memory measured on this machine, beside the published way and other tools.

Only ``whyspec bench`` imports from here. No number of a test comes from here.
"""
