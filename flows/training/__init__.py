"""Training commands: what train, adapt and import-spender show, and the recipes of the shipped models.

Import ``kinds`` and ``progress``. Fitting belongs to ``models.training``.
"""
