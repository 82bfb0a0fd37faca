"""Scoring: the model that ships, encoder, decoder, density and the parts of its score.

Import ``scoring_model``. Training belongs to ``models.training``.
"""
