"""Training commands: what train and import-spender do and show, and the recipes of the shipped models.

Import ``kinds`` and ``progress``. Fitting belongs to ``models.training``.
"""
