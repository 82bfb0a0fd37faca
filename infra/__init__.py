"""Where it runs: settings, Ray and Dask connections, deployment."""
