"""Engine: everything that computes or moves data.

Import from its folders, never from ``flows`` or ``tasks``; nothing here knows Prefect, and only
``engine.run.ray_pool`` and the Dask stage of ``engine.clustering`` know a cluster.
"""
