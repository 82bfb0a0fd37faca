"""Store commands: what verify, status and cluster do and show.

Import ``repair`` and the tables. The rules of a store belong to ``engine.store``.
"""
