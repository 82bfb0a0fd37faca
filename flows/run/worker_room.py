"""Room for workers: whether what each needs is free, before any is started."""

from __future__ import annotations

from flows.run.request import ExecutorName
from infra.settings import Settings, available_memory, cpu_count, worker_count
from models.errors import ConfigurationError, ErrorKind


def processes(executor: ExecutorName, workers: int, settings: Settings) -> int:
    """How many processes share the work on this machine; ``workers`` of 0 as in the settings."""
    return 1 if executor == "serial" else workers or worker_count(settings, cpu_count())


def check_room(needed: int, executor: ExecutorName, workers: int, settings: Settings) -> None:
    """Refuse workers that need more bytes each than is free here, or than the settings allow.

    Parameters
    ----------
    workers : processes; 0 as in the settings.

    Raises
    ------
    ConfigurationError : they do. A cluster's machines are not looked at.
    """
    if settings.ray_address:
        return  # the cluster's machines are not this one
    count = processes(executor, workers, settings)
    allowed = settings.memory_per_worker or available_memory() // count
    if needed > allowed:
        raise ConfigurationError(
            "The run does not fit the memory of its workers.",
            where="WHYSPEC_MEMORY_PER_WORKER" if settings.memory_per_worker else "this machine",
            got=f"{needed / 2**20:,.0f} MiB for each of {count} workers",
            allowed=f"{allowed / 2**20:,.0f} MiB each",
            remedy="Use fewer --workers, less --memory or smaller --outlier-block-rows (new stores only).",
            kind=ErrorKind.MEMORY,
        )
