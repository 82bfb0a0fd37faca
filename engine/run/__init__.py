"""Run: the way of one block from source files to the store, here or on a cluster.

Import ``plan``, ``drive``, ``worker`` and ``executor``. Nothing that only a benchmark or an evaluation
needs belongs here.
"""
