"""A Ray cluster for the length of one run: one on this machine, or the one at an address.

The one on this machine is the run's own. Its processes listen on loopback only and want a token that no file
holds. What it writes goes to a directory of its own, which is kept only when the run fails. Of the helpers
that Ray starts for people, none runs that can be left out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.environment import prepare_environment
from infra.settings import Settings, cpu_count
from models.errors import ConfigurationError, ErrorKind, RetryError

if TYPE_CHECKING:
    from ray.job_config import JobConfig

# Ray reads these when it is imported.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without it every actor that asks for no GPU warns about a change to come in Ray.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray tells of dead workers on standard output, which may be a user's JSON. The pool handles them.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # Under `uv run` Ray would send the working directory to all workers and import from it.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}

_LOCAL = {
    # Nobody reads the metrics of a cluster that lives as long as one run. Without them it is up sooner.
    "RAY_enable_metrics_collection": "0",
    # Ray's switch for systems whose firewall asks the user: all its processes listen on loopback only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}

_NO_PORT = -1
"""Where no process can listen: Ray goes on without a dashboard. If only told to include none, it would start
the process all the same, which asks the metadata servers of three clouds where it is."""

_LONGEST_DIRECTORY = 43
"""Bytes in the path of a directory in which Ray can make its sockets, whose paths have at most 107."""


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
    ConfigurationError : there is no cluster at the address, or it has too few resources; or this machine has
        too few, or no directory for Ray's sockets.
    RetryError : Ray does not start.
    """
    prepare_environment()
    for name, value in (_QUIET if settings.ray_address else {**_QUIET, **_LOCAL}).items():
        os.environ.setdefault(name, value)
    import ray

    connected: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if not ray.is_initialized():
        connected = _joined(settings) if settings.ray_address else _started(settings)
    with connected:
        cluster = ray.cluster_resources()  # type: ignore[no-untyped-call]
        # A cluster that grows has little before it is asked: Ray's autoscaler adds nodes for actors.
        cpus = max(int(cluster.get("CPU", 0)), settings.ray_cpus)
        gpus = max(int(cluster.get("GPU", 0)), settings.ray_gpus)
        yield resources_for(cpus, gpus, settings)


@contextlib.contextmanager
def _joined(settings: Settings) -> Iterator[None]:
    """Connected to the cluster at the address that the settings name."""
    import ray

    try:
        ray.init(
            address=settings.ray_address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            job_config=_own_code(),
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
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _started(settings: Settings) -> Iterator[None]:
    """Connected to a cluster of this run's own."""
    import ray

    if not any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        # Else Ray keeps one for all runs in the home, where there may be no room for it.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    with _directory() as directory:
        try:
            ray.init(
                # Not None: Ray would then join whatever cluster somebody started on this machine.
                address="local",
                num_cpus=max(cpu_count(), settings.workers),
                include_dashboard=False,
                dashboard_port=_NO_PORT,
                logging_level=logging.CRITICAL,
                log_to_driver=False,
                object_store_memory=settings.ray_object_store_bytes,
                job_config=_own_code(),
                _temp_dir=str(directory),
            )
        except ValueError as error:
            raise ConfigurationError(
                "Ray refuses what the settings ask for.",
                where="WHYSPEC_RAY_OBJECT_STORE_BYTES, WHYSPEC_WORKERS",
                got=error,
                remedy="Ask for less, or use `--executor serial`, which needs no Ray.",
                kind=ErrorKind.MEMORY,
            ) from error
        except Exception as error:  # what Ray raises then has no class of its own
            raise RetryError(
                "Ray does not start on this machine.",
                where=f"Ray, whose logs are in {directory}",
                got=f"{type(error).__name__}: {error}",
                remedy="Look for room in memory and on the disk, then run again, or use `--executor serial`, "
                "which needs no Ray.",
                kind=ErrorKind.RAY_START,
            ) from error
        try:
            yield
        finally:
            ray.shutdown()


def _own_code() -> JobConfig:
    """A job whose workers import what is installed, as this process does.

    Ray adds the working directory of other jobs to the import path of their workers. Those of Ray's client,
    which has none on the cluster, are left alone.
    """
    from ray.job_config import JobConfig

    return JobConfig(_client_job=True)


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A new directory for Ray's sockets and logs; after an error it stays, with the logs."""
    given = os.environ.get("RAY_TMPDIR", tempfile.gettempdir())
    path = next((made for base in (given, "/tmp") if (made := _new_directory(base))), None)  # noqa: S108
    if path is None:
        raise ConfigurationError(
            "Ray has no directory for its sockets.",
            where="RAY_TMPDIR or TMPDIR",
            got=given,
            allowed="a directory that can be written, whose path has at most 31 characters",
            remedy="Set RAY_TMPDIR to one, or use `--executor serial`, which needs no Ray.",
            kind=ErrorKind.RAY_DIRECTORY,
        )
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _new_directory(base: str) -> Path | None:
    """A new directory below ``base``; None if its path is too long, or it cannot be made."""
    if len(os.fsencode(base)) + len("/ws-12345678") > _LONGEST_DIRECTORY:
        return None
    try:
        return Path(tempfile.mkdtemp(prefix="ws-", dir=base))
    except OSError:
        return None


def resources_for(cpus: int, gpus: int, settings: Settings) -> RayResources:
    """The workers that the settings make of a cluster: one per GPU, or per so many CPUs as it has threads.

    Raises
    ------
    ConfigurationError : more workers are asked for than there is room for.
    """
    workers = settings.workers or gpus or max(1, cpus // settings.threads_per_worker)
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
