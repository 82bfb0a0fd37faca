"""Spender: spender's published autoencoders and flows as scoring models.

Import ``importing`` and ``model``. No other model depends on it.
"""
