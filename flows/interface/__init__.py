"""Interface for Python: what ``import whyspec`` gives. Import from ``whyspec``, not from here.

It calls what the commands call. Nothing here computes; what is slow to import is imported where it is needed.
"""
