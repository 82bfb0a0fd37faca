"""Variational model: an autoencoder of rest-frame spectra, scored by its reconstruction.

Import ``model`` and ``training``. No other model depends on it.
"""
