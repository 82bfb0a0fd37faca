"""A Ray cluster for the length of one run: one on this machine, or the one at an address."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

from infra.settings import Settings, cpu_count, worker_count
from models.errors import ConfigurationError, ErrorKind

# Ray reads these when it is imported.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without it every actor that asks for no GPU warns about a change to come in Ray.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray tells of dead workers on standard output, which may be a user's JSON. The pool handles them.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}

# Nobody reads the metrics of a cluster that lives as long as one run. Without them it is up a second sooner.
_LOCAL = {"RAY_enable_metrics_collection": "0"}


@dataclass(frozen=True, slots=True)
class RayResources:
    """What the cluster has: CPUs, GPUs, and how many workers that makes for a run."""

    cpus: int
    gpus: int
    workers: int


@contextlib.contextmanager
def ray_cluster(settings: Settings) -> Iterator[RayResources]:
    """Connect to Ray and say what it has; what this started, this shuts down.

    Raises
    ------
    ConfigurationError : there is no cluster at the address, or it has too few resources.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    started = not ray.is_initialized()
    if started:
        _connect(settings)
    try:
        cluster = ray.cluster_resources()  # type: ignore[no-untyped-call]
        # A cluster that grows has little before it is asked: Ray's autoscaler adds nodes for actors.
        cpus = max(int(cluster.get("CPU", 0)), settings.ray_cpus)
        gpus = max(int(cluster.get("GPU", 0)), settings.ray_gpus)
        yield resources_for(cpus, gpus, settings)
    finally:
        if started:
            ray.shutdown()


def _connect(settings: Settings) -> None:
    import ray

    if settings.ray_address:
        try:
            ray.init(
                address=settings.ray_address,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                "There is no Ray cluster to join.",
                where="WHYSPEC_RAY_ADDRESS",
                got=f"{settings.ray_address}: {error}",
                allowed="address of a running cluster of the same Ray and Python versions",
                remedy="Start it with `ray start --head`, correct the address, or unset it to run here.",
                kind=ErrorKind.RAY_ADDRESS,
            ) from error
        return
    for name, value in _LOCAL.items():
        os.environ.setdefault(name, value)
    ray.init(
        # Not None: Ray would then join whatever cluster somebody started on this machine.
        address="local",
        num_cpus=max(cpu_count(), settings.workers),
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        object_store_memory=settings.ray_object_store_bytes,
    )


def resources_for(cpus: int, gpus: int, settings: Settings) -> RayResources:
    """The workers that the settings make of a cluster: one per GPU, or per so many CPUs as it has threads.

    Raises
    ------
    ConfigurationError : more workers are asked for than there is room for.
    """
    workers = worker_count(settings, cpus, gpus)
    if gpus and workers > gpus:
        raise ConfigurationError(
            "There are fewer GPUs than workers, and each worker takes one.",
            where="WHYSPEC_WORKERS",
            got=f"{workers} workers",
            allowed=f"at most {gpus}",
            remedy="Ask for fewer workers, or hide the GPUs (CUDA_VISIBLE_DEVICES=) to run on CPUs.",
            kind=ErrorKind.WORKERS,
        )
    if workers > cpus:
        raise ConfigurationError(
            "The cluster has fewer CPUs than workers.",
            where="WHYSPEC_WORKERS",
            got=f"{workers} workers",
            allowed=f"at most {cpus}",
            remedy="Ask for fewer workers or a larger cluster.",
            kind=ErrorKind.WORKERS,
        )
    return RayResources(cpus, gpus, workers)
