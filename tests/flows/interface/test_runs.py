"""Runs from Python: plan, run, cluster, report and what the store then answers, in one process."""

from __future__ import annotations

from pathlib import Path

import pytest

import whyspec
from models.weights import save_model
from tests.conftest import random_model
from tests.small_run import small_release


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_release(tmp_path_factory.mktemp("runs") / "release", spectra=8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "model"
    save_model(random_model(redshift_max=0.4), directory)  # two of the spectra lie beyond
    return directory


def test_a_release_becomes_a_store_clusters_and_a_report(
    small: Path, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "odd.zarr"
    options = {
        "models": str(model), "threshold": 0.3, "preset": "reference-code", "windows": (512,), "baselines": 1,
        "block_rows": 24, "outlier_block_rows": 4, "executor": "serial", "progress": False,
    }  # fmt: skip
    planned = whyspec.plan(small, store, **options)
    assert planned["store_exists"] is False
    assert planned["forecast"]["spectra"] == 8
    assert not store.exists()
    summary = whyspec.run(small, store, **options)
    assert summary.spectra == 8
    assert summary.explained == summary.outliers > 0
    assert not whyspec.run(str(small), str(store), **options).did_something
    opened = whyspec.open(store)
    assert len(opened) == 8
    assert len(opened.query()) == summary.outliers
    clusters = whyspec.cluster(store, clusters=1, resamples=2, progress=False)
    assert clusters.sizes["cluster"] == 1
    assert whyspec.report(store, tmp_path / "odd.html", top=0).read_bytes().startswith(b"<!DOCTYPE html>")
    assert capfd.readouterr() == ("", "")  # nothing is printed unasked
    explained = {int(row) for row in opened.outliers.row.values}
    table = opened._view.table(["key", "redshift", "status"])
    other = next(row for row in table.index if row not in explained)
    read = opened.spectrum(table.loc[other, "key"])  # from its file
    assert read.key == table.loc[other, "key"]
    assert read.redshift == table.loc[other, "redshift"] > 0.4


def test_options_that_make_no_sense_are_errors(small: Path, tmp_path: Path) -> None:
    with pytest.raises(whyspec.WhyspecError):
        whyspec.run(small, tmp_path / "odd.zarr", threshold=3.0, progress=False)
    with pytest.raises(TypeError, match="colour"):
        whyspec.run(small, tmp_path / "odd.zarr", colour="red")
