"""Engine: everything that computes or moves data.

Import from its folders, never from ``flows`` or ``tasks``. Nothing here knows Prefect. Only
``engine.run.ray_pool`` knows Ray, only ``engine.store.dask_arrays`` and ``engine.clustering`` know Dask.
"""
