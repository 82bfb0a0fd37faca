"""Training: fitting the model that ships, and its calibration.

Import ``fit``. Choosing the spectra belongs to ``engine.training``.
"""
