"""Where it runs: settings, logs, connections to Ray, Dask and Prefect, deployment.

Import ``settings`` and the connections. Nothing about spectra belongs here.
"""
