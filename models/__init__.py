"""Scoring models as torch modules: encoder, decoder, density, scores, training, weights."""
