"""A Ray cluster for the length of one run: one on this machine, or the one at an address.

The one on this machine is the run's own. Its processes listen on loopback only and want a token that no file
holds. What it writes goes to a directory of its own, which stays only where Ray itself failed. Of the helpers
that Ray starts for people, none runs that can be left out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.environment import prepare_environment
from infra.settings import Settings, cpu_count, worker_count
from models.errors import ConfigurationError, ErrorKind, RetryError

if TYPE_CHECKING:
    from ray.job_config import JobConfig

# Ray reads some of these when it is imported.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without it every actor that asks for no GPU warns about a change to come in Ray.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray tells of dead workers on standard output, which may be a user's JSON. The pool handles them.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # Under `uv run` Ray would send the working directory to all workers and import from it.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}

# Nobody reads the metrics of a cluster that lives as long as one run. Without them it is up sooner.
_LOCAL = {"RAY_enable_metrics_collection": "0"}

_LOOPBACK_SWITCH = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's switch for systems whose firewall asks the user. If it is off, Ray listens on loopback only."""

_NO_PORT = -1
"""Where no process can listen: Ray goes on without a dashboard. If only told to include none, it would start
the process all the same, which asks the metadata servers of three clouds where it is."""

_LONGEST_DIRECTORY = 43
"""Bytes in the path of a directory in which Ray can make its sockets, whose paths have at most 107."""

_INNER = "r"
"""Name of Ray's directory within the run's."""

_FAULTS_OF_RAY = {ErrorKind.RAY_START, ErrorKind.WORKER_DIED, ErrorKind.NO_WORKERS}
"""Errors for which Ray's own logs are of use."""


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
    _prepare_ray(settings)
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


def _prepare_ray(settings: Settings) -> None:
    """Set the variables that Ray goes by, unless the user has set them."""
    prepare_environment()
    for name, value in (_QUIET if settings.ray_address else {**_QUIET, **_LOCAL}).items():
        os.environ.setdefault(name, value)
    # A process keeps to the interface and the token that it had when it imported and first used Ray.
    if not settings.ray_address and "ray" not in sys.modules:
        _keep_others_out()


def _keep_others_out() -> None:
    """Import Ray so that a cluster of this process is for this process."""
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        # Else Ray keeps one for all runs in the home, where there may be no room for it.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    given = _LOOPBACK_SWITCH in os.environ
    os.environ.setdefault(_LOOPBACK_SWITCH, "0")
    import ray  # noqa: F401 - it reads the switch

    if not given:
        # Nor may it keep `ray start` of whatever this process starts from joining other machines.
        del os.environ[_LOOPBACK_SWITCH]


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

    with _directory() as directory:
        try:
            _start(settings, directory)
            yield
        finally:
            ray.shutdown()


def _start(settings: Settings, directory: Path) -> None:
    import ray

    try:
        with warnings.catch_warnings():
            # Ray does not close the socket with which it tries the port.
            warnings.simplefilter("ignore", ResourceWarning)
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
            where="Ray",
            got=f"{type(error).__name__}: {error}",
            remedy="Look for room in memory and on the disk, then run again, or use `--executor serial`, "
            "which needs no Ray.",
            kind=ErrorKind.RAY_START,
        ) from error


def _own_code() -> JobConfig:
    """A job whose workers import what is installed, as this process does.

    Ray adds the working directory of other jobs to the import path of their workers. Those of Ray's client,
    which has none on the cluster, are left alone.
    """
    from ray.job_config import JobConfig

    return JobConfig(_client_job=True)


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A new directory for Ray's sockets and logs. It stays where Ray failed, and the error names it.

    Ray opens it to all users, so it lies in one that is this user's alone.
    """
    given = (os.environ.get("RAY_TMPDIR"), os.environ.get("TMPDIR"), "/tmp")  # noqa: S108
    bases = [Path(base).absolute() for base in given if base]
    path = next((made for base in bases if (made := _new_directory(base))), None)
    if path is None:
        raise ConfigurationError(
            "Ray has no directory for its sockets.",
            where="RAY_TMPDIR or TMPDIR",
            got=", ".join(map(str, bases)),
            allowed="a directory that can be written, whose path has at most 29 characters",
            remedy="Set RAY_TMPDIR to one, or use `--executor serial`, which needs no Ray.",
            kind=ErrorKind.RAY_DIRECTORY,
        )
    stays = False
    try:
        yield path / _INNER
    except RetryError as error:
        stays = error.kind in _FAULTS_OF_RAY
        if stays:
            error.where += f", whose logs are in {path}"
        raise
    finally:
        if not stays:
            shutil.rmtree(path, ignore_errors=True)


def _new_directory(base: Path) -> Path | None:
    """A new directory below ``base``; None if its path is too long, or it cannot be made."""
    if len(os.fsencode(base)) + len(f"/ws-12345678/{_INNER}") > _LONGEST_DIRECTORY:
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
