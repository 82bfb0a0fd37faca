"""Match: which spectra of a store a table of known objects holds, and how odd its classes are.

Import ``match`` and ``settings``. Nothing here writes to a store.
"""
