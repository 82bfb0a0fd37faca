"""Models: the scoring models as torch modules, with their cards and weights.

Import ``weights`` and ``spectrum_model``. Nothing here knows stores, surveys' files, Ray, Dask or Prefect.
"""
