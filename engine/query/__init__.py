"""Query: answers from a store as tables.

Import ``query`` and ``table_formats``. Nothing here writes to a store.
"""
