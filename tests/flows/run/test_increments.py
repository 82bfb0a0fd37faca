"""However a release comes into a store, in one run or in many, the store says the same about it.

Runs here are those of the flow without Prefect, on the serial executor: what they share with the flow
is all that decides about rows (listing, plan, blocks, ledger, marking), and a release takes a second.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from hypothesis import example, given, note, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.run.executor import WorkerRecipe
from engine.run.plan import Plan, begin, begin_attribution
from engine.run.serial import SerialExecutor
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.reading import StoreView
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from engine.store.verify import verify
from flows.run.preparation import prepare
from flows.run.request import RunRequest
from infra.settings import Settings
from models.errors import ConfigurationError
from models.weights import load_model, save_model
from tests.small_run import publish_sums, small_release, small_request, tree_bytes

FILES, PER_FILE = 8, 2
SPECTRA = FILES * PER_FILE
# Blocks of either kind end within files.
BLOCK_ROWS, OUTLIER_BLOCK_ROWS = 7, 3

EXACT = ["target_id", "redshift", "status", "outlier", "source", "source_row"]
ROUNDED = ["score", "tail_probability", "normalisation", "latents"]

# Which spectra share a batch depends on the increments, and matrix products of other shapes add up in
# another order: scores of one run and of eight differ by 2e-7 of their size, a few units of float32.
SCORE_TOLERANCE = 1e-5
# Maps are differences of log densities and are stored with so many bits that rounding the other way
# changes a value by a thousandth; they are compared by the largest value of the spectrum's maps.
MAP_TOLERANCE = 2.0**-9


@dataclass(frozen=True)
class Increment:
    """One run of a history.

    Attributes
    ----------
    files : numbers of the files that it lists; none for the whole directory.
    changed : files that are replaced before it runs.
    blocks : it is stopped after so many blocks; None if it may end.
    """

    files: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    blocks: int | None = None


class StoppedError(Exception):
    """A run was stopped."""


@dataclass(frozen=True)
class VersionedRelease:
    """A release whose files exist in an early and in a final version; the final one is in place.

    Attributes
    ----------
    root : the release. files : its coadds. early : directory with the early versions by file name.
    """

    root: Path
    files: tuple[Path, ...]
    early: Path

    @contextmanager
    def early_versions(self, numbers: set[int]) -> Iterator[dict[int, bytes]]:
        """Put files back to their early version; what is not replaced within is replaced at the end."""
        final = {number: self.files[number].read_bytes() for number in numbers}
        for number in numbers:
            self.put(number, (self.early / self.files[number].name).read_bytes())
        try:
            yield final
        finally:
            for number, content in final.items():
                self.put(number, content)

    def put(self, number: int, content: bytes) -> None:
        """Patch a file as a survey does, its published checksum with it."""
        self.files[number].write_bytes(content)
        publish_sums(self.files[number].parent)


def reprocess(coadd: Path) -> None:
    """Give the file's spectra each other's flux: the same targets, but other values."""
    with fits.open(coadd, mode="update", checksum=True) as units:
        for unit in units:
            # Scaled as well: a DATASUM is a sum, which does not see that values changed places.
            if unit.name.endswith("_FLUX"):
                unit.data = unit.data[::-1] * np.float32(1.25)
            elif unit.name.endswith("_IVAR"):
                unit.data = unit.data[::-1] * np.float32(0.64)
            elif unit.name.endswith("_MASK"):
                unit.data = unit.data[::-1].copy()


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> VersionedRelease:
    directory = tmp_path_factory.mktemp("increments")
    root = small_release(directory / "release", SPECTRA, seed=5, per_file=PER_FILE)
    files = tuple(sorted(root.rglob("coadd-*.fits")))
    early = directory / "early"
    early.mkdir()
    for file in files:
        shutil.copyfile(file, early / file.name)
        reprocess(early / file.name)
    return VersionedRelease(root, files, early)


def request_for(listed: Sequence[Path], store: Path, model: Path) -> RunRequest:
    """A run over a directory or over files."""
    return replace(
        small_request(listed[0], store, model),
        threshold=0.3,  # of so few spectra
        baselines=1,
        release=tuple(map(str, listed)),
        block_rows=BLOCK_ROWS,
        outlier_block_rows=OUTLIER_BLOCK_ROWS,
    )


def run(request: RunRequest, stop_after: int | None = None) -> Plan:
    """What :func:`flows.run.work.work` does, in this thread; stopped after so many blocks."""
    prepared = prepare(request, Settings())
    store = prepared.store or Store.create(request.store, prepared.configuration)
    snapshot = begin(store, prepared.plan, prepared.snapshot)
    with SerialExecutor(WorkerRecipe(prepared.models, store.url)) as executor:

        def run_all(blocks: Sequence[ScoreBlock | AttributionBlock], done: int) -> list[BlockResult]:
            results = []
            for number, block in enumerate(blocks, start=done):
                if number == stop_after:
                    raise StoppedError
                results.append(executor.run(block))
                store.ledger.commit(results[-1])
            return results

        scored = run_all(prepared.plan.blocks, 0)
        snapshot = snapshot.with_results(scored)
        snapshot = store.mark_superseded(snapshot, snapshot.newly_superseded)
        snapshot = begin_attribution(store, snapshot)
        snapshot = snapshot.with_results(run_all(snapshot.unexplained_blocks, len(scored)))
    assert snapshot == Snapshot.read(store.ledger)
    store.clear_staging()
    return prepared.plan


@dataclass(frozen=True)
class Contents:
    """What a store says about the spectra that count, by key."""

    rows: pd.DataFrame
    outliers: pd.DataFrame
    combined: NDArray[np.float32]
    maps: NDArray[np.float32]

    @classmethod
    def of(cls, store: Path) -> Contents:
        view = StoreView.open(str(store))
        rows = view.table(["key", "superseded", *EXACT, *ROUNDED])
        rows = rows[~rows["superseded"]].set_index("key").sort_index()
        assert rows.index.is_unique
        outliers = view.outliers_table()
        outliers["number"] = np.arange(len(outliers))
        outliers = outliers[~outliers["superseded"]].set_index("key").sort_index()
        assert outliers.index.is_unique
        order = outliers["number"].to_numpy()
        combined, maps = view.read("outliers/combined")[order], view.read("outliers/maps")[order]
        return cls(rows, outliers, combined, maps)

    def assert_same(self, other: Contents) -> None:
        pd.testing.assert_frame_equal(self.rows[EXACT], other.rows[EXACT])
        rounded = self.rows.columns.difference([*EXACT, "superseded"])
        pd.testing.assert_frame_equal(
            self.rows[rounded], other.rows[rounded], rtol=SCORE_TOLERANCE, atol=SCORE_TOLERANCE
        )
        assert self.outliers.index.tolist() == other.outliers.index.tolist()
        assert self.outliers.index.tolist() == self.rows.index[self.rows["outlier"]].tolist()
        for name in ("combined", "maps"):
            mine, others = getattr(self, name), getattr(other, name)
            scale = np.abs(others).max(axis=tuple(range(1, others.ndim)), keepdims=True)
            assert np.isfinite(mine).all()
            assert (np.abs(mine - others) / scale).max() < MAP_TOLERANCE


@pytest.fixture(scope="module")
def whole(versions: VersionedRelease, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """One run over the final versions of all files."""
    store = tmp_path_factory.mktemp("whole") / "odd.zarr"
    run(request_for([versions.root], store, model))
    contents = Contents.of(store)
    assert len(contents.rows) == SPECTRA
    assert OUTLIER_BLOCK_ROWS < len(contents.outliers) < SPECTRA
    return contents


@st.composite
def histories(draw: st.DrawFn) -> list[Increment]:
    """The files in any order, cut anywhere; files seen before, changed or not; runs that are stopped."""
    order = draw(st.permutations(range(FILES)))
    cuts = sorted(draw(st.sets(st.integers(1, FILES - 1), max_size=3)))
    history: list[Increment] = []
    seen: list[int] = []
    waiting = set(draw(st.sets(st.integers(0, FILES - 1), max_size=3)))
    for start, stop in zip([0, *cuts], [*cuts, FILES], strict=True):
        again = draw(st.lists(st.sampled_from(seen), unique=True, max_size=2)) if seen else []
        # Some of the files that are to change do so once they, or before they, are in the store.
        changed = draw(st.sets(st.sampled_from(sorted(waiting)))) if waiting else set()
        waiting -= changed
        blocks = draw(st.none() | st.integers(0, 3))
        history.append(Increment((*order[start:stop], *again), tuple(sorted(changed)), blocks))
        seen += order[start:stop]
    last = draw(st.sampled_from([(), tuple(draw(st.permutations(range(FILES))))]))
    return [*history, Increment(last, tuple(sorted(waiting)))]


@pytest.mark.slow
@settings(max_examples=7)
@given(history=histories())
@example(history=[Increment((number,)) for number in reversed(range(FILES))])
@example(history=[Increment(blocks=1), Increment(changed=(0, 3, 7), blocks=1), Increment()])
def test_any_split_into_increments_is_one_run(
    history: list[Increment], versions: VersionedRelease, model: Path, whole: Contents
) -> None:
    changing = {number for increment in history for number in increment.changed}
    with tempfile.TemporaryDirectory() as directory, versions.early_versions(changing) as final:
        store = Path(directory) / "odd.zarr"
        for increment in history:
            for number in increment.changed:
                versions.put(number, final[number])
            listed = [versions.files[number] for number in increment.files] or [versions.root]
            try:
                plan = run(request_for(listed, store, model), increment.blocks)
            except StoppedError:
                note(f"{increment}: stopped")
            else:
                note(f"{increment}: {plan.counts}")
        Contents.of(store).assert_same(whole)
        report = verify(str(store))
        assert report.ok, report.faults
        before = tree_bytes(store)
        assert not run(request_for([versions.root], store, model)).blocks
        assert tree_bytes(store) == before


@pytest.fixture(scope="module")
def half_done(versions: VersionedRelease, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the first four files, of a run that was stopped after one of its two score blocks."""
    store = tmp_path_factory.mktemp("half") / "odd.zarr"
    with pytest.raises(StoppedError):
        run(request_for(versions.files[:4], store, model), 1)
    return store


def test_rows_of_a_changed_file_are_kept_but_do_not_count(
    versions: VersionedRelease, model: Path, whole: Contents, tmp_path: Path
) -> None:
    store = tmp_path / "odd.zarr"
    with versions.early_versions({1, 6}) as final:
        run(request_for([versions.root], store, model))
        early = Contents.of(store)
        for number, content in final.items():
            versions.put(number, content)
        plan = run(request_for([versions.root], store, model))
    assert (plan.counts["changed"], plan.counts["unchanged"], plan.superseded) == (2, 6, 2 * PER_FILE)
    Contents.of(store).assert_same(whole)
    table = StoreView.open(str(store)).table(["key", "superseded", "score"])
    assert len(table) == SPECTRA + 2 * PER_FILE
    old = table[table["superseded"]].set_index("key")["score"]
    pd.testing.assert_series_equal(old.sort_index(), early.rows["score"].loc[sorted(old.index)])
    assert not np.allclose(old, whole.rows["score"].loc[old.index], equal_nan=True)


def test_rows_of_a_vanished_file_stay_and_count(
    versions: VersionedRelease, model: Path, whole: Contents, tmp_path: Path
) -> None:
    store, aside = tmp_path / "odd.zarr", tmp_path / "aside"
    run(request_for([versions.root], store, model))
    before = tree_bytes(store)
    gone = versions.files[2].parent
    shutil.move(gone, aside)
    try:
        plan = run(request_for([versions.root], store, model))
    finally:
        shutil.move(aside, gone)
    assert (plan.counts["gone"], plan.counts["unchanged"], plan.blocks) == (1, FILES - 1, ())
    assert tree_bytes(store) == before
    assert run(request_for([versions.root], store, model)).counts["unchanged"] == FILES
    Contents.of(store).assert_same(whole)


def test_a_file_that_vanished_while_its_rows_were_planned_does_not_stop_the_run(
    versions: VersionedRelease, model: Path, whole: Contents, half_done: Path, tmp_path: Path
) -> None:
    store, aside = tmp_path / "odd.zarr", tmp_path / "aside"
    shutil.copytree(half_done, store)
    gone = versions.files[3].parent
    shutil.move(gone, aside)
    try:
        run(request_for([versions.root], store, model))
    finally:
        shutil.move(aside, gone)
    lost = StoreView.open(str(store)).table(["source", "status"])
    # Its first spectrum was scored before the run was stopped.
    assert (lost["source"] == str(versions.files[3])).sum() == PER_FILE
    assert run(request_for([versions.root], store, model)).counts["retry"] == 1
    Contents.of(store).assert_same(whole)


def test_a_list_of_files_makes_no_other_file_gone(
    versions: VersionedRelease, model: Path, tmp_path: Path
) -> None:
    store = tmp_path / "odd.zarr"
    run(request_for(versions.files[:4], store, model))
    assert run(request_for(versions.files[2:6], store, model)).counts["gone"] == 0
    assert run(request_for(versions.files[:1], store, model)).counts["gone"] == 0


@pytest.fixture(scope="module")
def other_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model after one more step of training, as it were: one weight is another."""
    other, directory = load_model(str(model)), tmp_path_factory.mktemp("other-model")
    next(other.encoder.parameters()).view(-1)[0] += 0.01
    save_model(other, directory)
    return directory


@pytest.mark.parametrize("change", ["models", "threshold", "windows", "baselines", "block_rows"])
def test_what_gives_other_values_is_refused_before_anything_is_written(
    change: str, versions: VersionedRelease, model: Path, other_model: Path, half_done: Path, tmp_path: Path
) -> None:
    other = {
        "models": (str(other_model),),
        "threshold": 0.7,
        "windows": (64, 256),
        "baselines": 2,
        "block_rows": 12,
    }
    ours = request_for([versions.root], tmp_path / "ours.zarr", model)
    theirs = replace(ours, store=str(tmp_path / "theirs.zarr"), **{change: other[change]})
    shutil.copytree(half_done, ours.store)
    with pytest.raises(StoppedError):
        run(theirs, 1)
    for store, asked in ((ours.store, theirs), (theirs.store, ours)):
        before = tree_bytes(Path(store))
        with pytest.raises(ConfigurationError, match="another configuration") as caught:
            run(replace(asked, store=store))
        assert "here" in caught.value.got
        assert "there" in caught.value.got
        assert tree_bytes(Path(store)) == before


def test_a_model_that_was_retrained_in_its_place_is_refused(
    versions: VersionedRelease, model: Path, other_model: Path, tmp_path: Path
) -> None:
    place, store = tmp_path / "model", tmp_path / "odd.zarr"
    shutil.copytree(model, place)
    with pytest.raises(StoppedError):
        run(request_for(versions.files[:4], store, place), 1)
    before = tree_bytes(store)
    shutil.copytree(other_model, place, dirs_exist_ok=True)
    for release in (versions.files[:4], [versions.root]):
        with pytest.raises(ConfigurationError, match="another configuration") as caught:
            run(replace(request_for(release, store, place), models=None))
        assert "model" in caught.value.got
    assert tree_bytes(store) == before
