"""Local parts: layers whose outputs see a few pixels only, additive pooling, and exact differences.

Import ``local_score`` and ``local_layers``. What the score means belongs to ``models.scoring``.
"""
