"""Fixtures of everything that runs blocks; conftest modules of several folders take them from here."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from infra.ray_cluster import ray_cluster
from infra.settings import Settings
from tests.small_run import small_model, small_release


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """What ``make`` writes, once for the fixtures of all folders in all processes that run tests."""
    base = factory.getbasetemp()
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with path.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = path.with_name(f"{name}.partial")
            make(partial)
            partial.rename(path)
    return path


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some simulated DESI spectra in four files, sky fibres among them; tests that change it take a copy."""
    return _once(tmp_path_factory, "small-release", partial(small_release, seed=32))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a small DESI model."""

    def make(path: Path) -> None:
        small_model(path, small_release(path.with_name("small-model-release"), 120, seed=4))

    return _once(tmp_path_factory, "small-model", make)


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """A Ray cluster of two CPUs, for a module: one that idles takes 4 % of a core."""
    with ray_cluster(Settings(workers=2)):
        yield
