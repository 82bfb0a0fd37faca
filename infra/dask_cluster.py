"""Dask cluster of one command: threads of this process, or the cluster at an address."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from infra.settings import Settings, cpu_count
from models.errors import ConfigurationError, ErrorKind


@contextlib.contextmanager
def dask_cluster(settings: Settings) -> Iterator[None]:
    """Within the block Dask computes where the settings say.

    Raises
    ------
    ConfigurationError : there is no scheduler at the address.
    """
    if not settings.dask_address:
        import dask

        # Threads, not processes: the work is NumPy and decompression, which release the lock.
        with dask.config.set(scheduler="threads", num_workers=settings.dask_workers or cpu_count()):
            yield
        return
    from distributed import Client

    try:
        client = Client(settings.dask_address, timeout=20)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigurationError(
            "There is no Dask scheduler to join.",
            where="WHYSPEC_DASK_ADDRESS",
            got=f"{settings.dask_address}: {error}",
            allowed="address of a running scheduler, e.g. tcp://host:8786",
            remedy="Start it with `dask scheduler`, correct the address, or unset it to compute here.",
            kind=ErrorKind.DASK_ADDRESS,
        ) from error
    with client:
        yield
