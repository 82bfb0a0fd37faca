"""Query: answers from a store as tables.

Import ``query``, ``settings``, ``table_formats`` and ``target_list``. Nothing here writes to a store.
"""
