"""Fixtures of everything that runs blocks; conftest modules of several folders take them from here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.ray_cluster import ray_cluster
from infra.settings import Settings
from tests.small_run import small_model, small_release


def _once(factory: pytest.TempPathFactory, name: str) -> tuple[Path, bool]:
    # By path, not by fixture: each folder's conftest has a fixture of its own.
    path = factory.getbasetemp() / name
    return path, path.exists()


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty simulated DESI spectra in four files; tests that change it take a copy."""
    path, there = _once(tmp_path_factory, "small-release")
    return path if there else small_release(path)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a small DESI model."""
    path, there = _once(tmp_path_factory, "small-model")
    if there:
        return path
    return small_model(path, small_release(path.with_name("small-model-release"), 120, seed=4))


@pytest.fixture(scope="session")
def ray() -> Iterator[None]:
    """A Ray cluster of two CPUs."""
    with ray_cluster(Settings(workers=2)):
        yield
