"""Store: one Zarr v3 hierarchy of spectra, scores and explanations, with its ledger.

Import ``store`` to write, ``reading`` to read. What decides which spectra go into it never belongs here.
"""
