"""Export: what a query finds, written for other programs: HATS, FITS spectra, VOTable.

Import ``hats``, ``spectrum_tables``, ``coadd`` and ``votable``. Nothing here writes to a store.
"""
