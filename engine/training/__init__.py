"""Training sets: spectra of a release chosen, split and kept for training.

Import ``reading`` and ``request``. How a model is fitted belongs to ``models.training``.
"""
