"""The store: one Zarr v3 hierarchy of spectra, scores and explanations, with its ledger."""
