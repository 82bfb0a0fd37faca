"""Calibration: from scores to tail probabilities among usual spectra.

Import ``calibration``. It knows numbers, not spectra.
"""
