"""The flow on small releases: what a run, a second run and a run after a change leave in the store."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from engine.attribution.cautions import counted
from engine.query.query import QuerySettings, query
from engine.store.reading import StoreView
from engine.store.verify import verify
from flows.run.request import RunRequest, RunSummary
from flows.run.summary_tables import show_summary
from flows.run_release import run_release
from infra.settings import Settings
from models.errors import ConfigurationError, StoreError
from tests.small_run import (
    OUTLIER_BLOCK_ROWS,
    PER_FILE,
    SPECTRA,
    THRESHOLD,
    publish_sums,
    small_release,
    small_request,
    tree_bytes,
)

Run = Callable[..., RunSummary]


@pytest.fixture
def run(release: Path, model: Path, tmp_path: Path) -> Run:
    """Run the small release, or another, into ``<tmp>/odd.zarr`` or another store."""

    def run_small(of: Path = release, store: str = "odd.zarr", **changes: object) -> RunSummary:
        request = small_request(of, tmp_path / store, model)
        return run_release(replace(request, **changes), Settings())  # type: ignore[arg-type]

    return run_small


@pytest.fixture(scope="module")
def first(release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    """The small release, run once for all tests of this module; ``first.store`` is not to be changed."""
    store = tmp_path_factory.mktemp("first") / "odd.zarr"
    return run_release(small_request(release, store, model), Settings())


@pytest.fixture
def done(first: RunSummary, tmp_path: Path) -> Path:
    """A copy of that store at ``<tmp>/odd.zarr``."""
    return shutil.copytree(first.store, tmp_path / "odd.zarr")


def spectra_of(store: Path) -> pd.DataFrame:
    """Rows that count, by key, without what depends on their place or on who shared their batch."""
    table = StoreView.open(str(store)).table()
    table = table[~table["superseded"]].set_index("key").sort_index()
    return table[["target_id", "redshift", "status", "outlier", "source_row"]]


def test_a_run_leaves_a_complete_store(first: RunSummary) -> None:
    assert first.files_new == 4
    assert first.spectra == first.store_spectra == SPECTRA
    assert sum(count for _, count in first.status_counts) == SPECTRA
    assert first.outliers == first.explained == first.store_outliers > OUTLIER_BLOCK_ROWS
    assert first.quarantined == ()
    assert verify(first.store).ok
    assert not list((Path(first.store) / "staging").glob("*.safetensors"))
    view = StoreView.open(first.store)
    assert view.outliers == first.outliers
    assert np.isfinite(view.read("outliers/combined")).all()


def test_cautions_are_counted_found_and_told(first: RunSummary) -> None:
    bits = StoreView.open(first.store).read("outliers/cautions")
    assert first.caution_counts == counted(bits)
    assert dict(first.to_dict()["caution_counts"]) == dict(counted(bits))
    assert first.caution_counts  # a model that was hardly trained does not explain well
    for label, count in first.caution_counts:
        found = query(first.store, QuerySettings(cautions=(label,)))
        assert len(found) == count
        assert found["cautions"].str.split().map(lambda labels, label=label: label in labels).all()
    assert len(query(first.store, QuerySettings(without_cautions=("any",)))) == int((bits == 0).sum())
    console = Console(file=io.StringIO(), width=100)
    show_summary(console, first)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(label in text for label, _ in first.caution_counts)


def test_a_second_run_changes_nothing(run: Run, first: RunSummary, done: Path) -> None:
    before = tree_bytes(done)
    again = run()
    assert not again.did_something
    assert (again.files_unchanged, again.files_new) == (4, 0)
    assert (again.store_spectra, again.store_outliers) == (first.spectra, first.outliers)
    assert tree_bytes(done) == before


def test_options_left_out_are_the_stores(release: Path, done: Path) -> None:
    bare = RunRequest((str(release),), str(done), executor="serial")
    assert not run_release(bare, Settings()).did_something


@pytest.mark.usefixtures("done")
def test_other_options_are_refused_with_both_values(run: Run) -> None:
    with pytest.raises(ConfigurationError, match="another configuration") as caught:
        run(threshold=0.5)
    assert f"threshold: 0.5 here, {THRESHOLD} there" in caught.value.got


@pytest.mark.usefixtures("done")
def test_a_moved_model_is_still_the_stores(run: Run, model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "moved-model")
    assert not run(models=(str(tmp_path / "moved-model"),)).did_something


@pytest.mark.usefixtures("ray")
def test_ray_and_serial_leave_the_same_store(run: Run, first: RunSummary, tmp_path: Path) -> None:
    pooled = run(store="ray.zarr", executor="ray", workers=2)
    assert replace(pooled, store="", seconds=0.0) == replace(first, store="", seconds=0.0)
    assert tree_bytes(tmp_path / "ray.zarr") == tree_bytes(Path(first.store))


def test_old_and_new_in_two_runs_are_one_run_over_both(
    run: Run, first: RunSummary, release: Path, tmp_path: Path
) -> None:
    growing = tmp_path / "growing"
    shutil.copytree(release, growing)
    late = max(growing.rglob("coadd-*.fits"))
    aside = tmp_path / "aside"
    shutil.move(late.parent, aside)
    partial = run(growing, "two.zarr")
    assert partial.files_new == 3
    shutil.move(aside, late.parent)
    second = run(growing, "two.zarr")
    assert (second.files_new, second.files_unchanged) == (1, 3)
    assert second.spectra == SPECTRA - partial.spectra
    both = spectra_of(Path(first.store))
    pd.testing.assert_frame_equal(spectra_of(tmp_path / "two.zarr"), both)
    assert verify(str(tmp_path / "two.zarr")).ok


def test_a_changed_file_supersedes_its_rows(run: Run, release: Path, tmp_path: Path) -> None:
    changing = tmp_path / "changing"
    shutil.copytree(release, changing)
    run(changing)
    other = small_release(tmp_path / "other", PER_FILE, seed=77)
    target = min(changing.rglob("coadd-*.fits"))
    source = min(other.rglob("coadd-*.fits"))
    shutil.copyfile(source, target)
    shutil.copyfile(next(source.parent.glob("redrock-*.fits")), next(target.parent.glob("redrock-*.fits")))
    publish_sums(target.parent)
    summary = run(changing)
    assert (summary.files_changed, summary.files_unchanged) == (1, 3)
    table = StoreView.open(str(tmp_path / "odd.zarr")).table(["source", "superseded"])
    of_target = table["source"] == str(target)
    assert of_target.sum() == 2 * PER_FILE
    assert table.loc[of_target, "superseded"].tolist() == [True] * PER_FILE + [False] * PER_FILE
    assert not table.loc[~of_target, "superseded"].any()
    assert verify(str(tmp_path / "odd.zarr")).ok
    assert not run(changing).did_something


def test_rows_of_a_vanished_file_are_kept_and_flagged(run: Run, release: Path, tmp_path: Path) -> None:
    shrinking, store = tmp_path / "shrinking", tmp_path / "odd.zarr"
    shutil.copytree(release, shrinking)
    run(shrinking)
    whole = tree_bytes(store)
    # One that holds an outlier.
    last = Path(max(query(str(store), QuerySettings())["source"]))
    shutil.move(last.parent, tmp_path / "aside")
    assert run(shrinking).files_gone == 1
    table = StoreView.open(str(store)).table(["source", "gone"])
    assert (table["gone"] == (table["source"] == str(last))).all()
    assert table["gone"].sum() == PER_FILE
    flagged = tree_bytes(store)
    run(shrinking)
    assert tree_bytes(store) == flagged
    found = query(str(store), QuerySettings())
    assert found.loc[found["source"] == str(last), "gone"].all()
    assert 0 < found["gone"].sum() < len(found)
    shutil.move(tmp_path / "aside", last.parent)
    run(shrinking)
    assert tree_bytes(store) == whole


def test_a_truncated_file_is_quarantined_and_taken_when_it_is_whole(
    run: Run, first: RunSummary, release: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(release, damaged)
    victim = min(damaged.rglob("coadd-*.fits"))
    content = victim.read_bytes()
    victim.write_bytes(content[: len(content) // 2])
    for sums in victim.parent.glob("*.sha256sum"):
        sums.unlink()  # where sums are published, the end of a file is not looked for before it is read
    without = run(damaged)
    assert [file.url for file in without.quarantined] == [str(victim)]
    assert without.quarantined[0].reason
    assert without.spectra == SPECTRA - PER_FILE
    still = run(damaged)
    assert not still.did_something
    assert [file.url for file in still.quarantined] == [str(victim)]
    victim.write_bytes(content)
    healed = run(damaged)
    assert healed.quarantined == ()
    assert (healed.spectra, healed.store_spectra) == (PER_FILE, SPECTRA)
    assert spectra_of(tmp_path / "odd.zarr").equals(spectra_of(Path(first.store)))


def test_a_store_whose_ledger_is_damaged_is_not_worked_on(run: Run, done: Path) -> None:
    entry = done / "ledger" / "score" / "00000000.json"
    entry.write_bytes(entry.read_bytes()[:-20])
    with pytest.raises(StoreError, match="ledger"):
        run()
