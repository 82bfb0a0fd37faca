"""Conditions of a query: what a row must fulfil, as SQL with parameters.

Import ``condition``, ``columns`` and ``expression``. Nothing here knows a store.
"""
