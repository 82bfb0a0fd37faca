"""Benchmark: every method of attribution, and every detector, on the same simulated spectra with known truth.

Import ``judging``, ``judged_spectra`` and ``results``. No part of a run imports it.
"""
