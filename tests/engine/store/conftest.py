"""Stores that tests may damage: copies of one that was filled once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.run.plan import Plan
from engine.store.store import Store
from tests.engine.store.store_builders import RELEASE, begin_plan, configuration, plan_of, run


@pytest.fixture(scope="session")
def finished_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete store of two files, 22 spectra in three blocks."""
    path = tmp_path_factory.mktemp("finished") / "store.zarr"
    run(Store.create(str(path), configuration()), RELEASE)
    return path


@pytest.fixture
def finished(finished_template: Path, tmp_path: Path) -> Store:
    """A copy of the complete store."""
    return Store.open(str(shutil.copytree(finished_template, tmp_path / "store.zarr")))


@pytest.fixture(scope="session")
def planned_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has room for the two files' blocks, and nothing in them."""
    path = tmp_path_factory.mktemp("planned") / "store.zarr"
    run(Store.create(str(path), configuration()), RELEASE, score_blocks=0)
    return path


@pytest.fixture
def planned(planned_template: Path, tmp_path: Path) -> tuple[Store, Plan]:
    """A copy of the store without blocks, and the plan to fill it."""
    store = Store.open(str(shutil.copytree(planned_template, tmp_path / "store.zarr")))
    plan = plan_of(store, RELEASE)
    begin_plan(store, plan)
    return store, plan
