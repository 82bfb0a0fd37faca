"""A run says where its release does not fit a model's calibration, and names the command that helps."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from engine.store.store import Store
from flows.run.calibration_fit import calibration_warnings
from flows.run.class_summary import RunWarning
from models.model_card import ModelCard
from tests.conftest import random_model
from tests.synthetic_store import synthetic_store

NAME = "mine"
SPECTRA = 400
"""Of which more are scored than :data:`flows.run.calibration_fit.LEAST`."""


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return replace(random_model().card, name=NAME)


def warnings_of(store: Path, card: ModelCard) -> tuple[RunWarning, ...]:
    opened = Store.open(str(store))
    return calibration_warnings(opened, tuple(opened.ledger.results("score").values()), (card,))


def test_a_release_like_the_calibration_spectra_has_no_warning(tmp_path: Path, card: ModelCard) -> None:
    synthetic_store(tmp_path / "odd.zarr", spectra=SPECTRA, outliers=False)
    assert warnings_of(tmp_path / "odd.zarr", card) == ()


@pytest.fixture(scope="module")
def very_odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of spectra that are odd as a whole; not to be changed."""
    store = tmp_path_factory.mktemp("very") / "odd.zarr"
    synthetic_store(store, spectra=SPECTRA, outliers=False, largest_tail=0.1)
    return store


def test_a_release_that_is_odd_as_a_whole_has_one(tmp_path: Path, card: ModelCard, very_odd: Path) -> None:
    synthetic_store(tmp_path / "odd.zarr", spectra=SPECTRA, outliers=False, largest_tail=0.3)
    (warning,) = warnings_of(tmp_path / "odd.zarr", card)
    assert f"does not fit the calibration of {NAME}" in warning.text
    assert f"whyspec adapt RELEASE --model {NAME} --output DIR" in warning.text
    assert not warning.severe
    assert warnings_of(very_odd, card)[0].severe


def test_few_spectra_do_not_tell(tmp_path: Path, card: ModelCard) -> None:
    synthetic_store(tmp_path / "odd.zarr", spectra=200, outliers=False, largest_tail=0.05)
    assert warnings_of(tmp_path / "odd.zarr", card) == ()


def test_a_store_that_became_unreadable_ends_no_run(tmp_path: Path, card: ModelCard, very_odd: Path) -> None:
    shutil.copytree(very_odd, tmp_path / "odd.zarr")
    for damaged in (tmp_path / "odd.zarr" / "scores" / "tail_probability" / "c").rglob("*"):
        if damaged.is_file():
            damaged.write_bytes(b"damaged")
    assert warnings_of(tmp_path / "odd.zarr", card) == ()
