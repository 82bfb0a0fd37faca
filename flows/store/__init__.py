"""Store commands: what verify, catalogue and export do, and the tables that commands on a store show.

Import ``repair``, ``export`` and the tables. The rules of a store belong to ``engine.store``.
"""
