"""What a run commits extends its snapshot to what a new reading finds; what follows from it is exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.run.plan import begin, begin_attribution, gone_rows, make_plan
from engine.spectra.source_file import RefusedFile, ReleaseListing
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.ledger import flags_path, result_path
from engine.store.saved_plans import AttributionPlan
from engine.store.schema import FLAGS
from engine.store.snapshot import Snapshot
from engine.store.status import status_of
from engine.store.store import Store
from flows.bench.ledger_reads import LedgerReads
from models.errors import StoreError
from tests.engine.store.store_builders import (
    RELEASE,
    UNREADABLE,
    configuration,
    listing,
    plan_of,
    run,
    snapshot_of,
    source_file,
    write_block,
)

SIZES = {"a": 13, "b": 9, "c": 0, "d": 5}
# One run: which version of which files is there, and after how many steps it is killed.
RUNS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(sorted(SIZES)), st.sampled_from(["1", "2", UNREADABLE]), min_size=1),
        st.integers(0, 20),
    ),
    min_size=1,
    max_size=4,
)


def receipt(block: ScoreBlock | AttributionBlock) -> BlockResult:
    """A finished block as the ledger sees it, without data: every third row is an outlier."""
    counts = (("scored", block.spectra),)
    result = BlockResult(block.kind, block.index, block.plan, block.spectra, counts, (), (), ())
    if isinstance(block, AttributionBlock):
        return result
    torn = sorted({part.file.url for part in block.slices if UNREADABLE in part.file.fingerprint})
    return replace(
        result,
        outliers=tuple(range(block.first_row, block.first_row + block.spectra, 3)),
        unreadable=tuple(RefusedFile(url, "truncated-file", "It ends early.") for url in torn),
    )


def steps(store: Store, release: ReleaseListing) -> Iterator[Snapshot]:
    """A run's snapshot after each of its steps."""

    def committed(blocks: Sequence[ScoreBlock | AttributionBlock], snapshot: Snapshot) -> Iterator[Snapshot]:
        for block in blocks:
            store.ledger.commit(receipt(block))
            snapshot = snapshot.with_results([receipt(block)])
            yield snapshot

    snapshot = Snapshot.read(store.ledger)
    yield snapshot
    plan = make_plan(release, snapshot, store.configuration)
    snapshot = begin(store, plan, snapshot)
    yield snapshot
    for snapshot in committed(plan.blocks, snapshot):  # noqa: B020 - each step's is the next one's
        yield snapshot
    snapshot = store.mark_superseded(snapshot, snapshot.newly_superseded)
    yield snapshot
    snapshot = store.mark_gone(snapshot, gone_rows(snapshot, plan, release))
    yield snapshot
    snapshot = begin_attribution(store, snapshot)
    yield snapshot
    yield from committed(snapshot.unexplained_blocks, snapshot)


@settings(max_examples=25)
@given(RUNS)
def test_a_snapshot_extended_by_commits_is_what_a_new_reading_finds(runs):
    memory = fsspec.filesystem("memory")
    if memory.exists("/whyspec-snapshots"):
        memory.rm("/whyspec-snapshots", recursive=True)
    store = Store.create("memory://whyspec-snapshots", configuration())
    for versions, killed in runs:
        release = listing(*(source_file(name, SIZES[name], each) for name, each in sorted(versions.items())))
        for _, snapshot in zip(range(killed), steps(store, release), strict=False):
            assert snapshot == Snapshot.read(store.ledger)
            assert list(snapshot.scored) == sorted(snapshot.scored)
            check_consequences(snapshot)


def check_consequences(snapshot: Snapshot) -> None:
    """What follows from a snapshot, against the definitions in plain sets."""
    superseded = {row for entry in snapshot.flagged["superseded"].values() for row in entry.rows.tolist()}
    outliers = {row for result in snapshot.scored.values() for row in result.outliers} - superseded
    planned = {row for plan in snapshot.attribution_plans for row in plan.rows}
    blocks = [block for plan in snapshot.attribution_plans for block in plan.blocks]
    explained = {row for block in blocks if block.index in snapshot.explained for row in block.rows}
    assert snapshot.waiting_outliers.tolist() == sorted(outliers - explained)
    assert snapshot.unplanned_outliers.tolist() == sorted(outliers - planned)
    assert snapshot.rows_flagged("superseded").tolist() == sorted(superseded)
    assert not superseded & set(snapshot.newly_superseded.tolist())
    assert {block.index for block in snapshot.unscored_blocks} == (
        set(range(snapshot.score_stop)) - set(snapshot.scored)
    )
    assert {block.index for block in snapshot.unexplained_blocks} == (
        set(range(snapshot.attribution_stop)) - set(snapshot.explained)
    )
    latest = {file.url: file for plan in snapshot.plans for file in plan.files}
    assert snapshot.files == latest
    assert snapshot.unreadable_files <= {file.fingerprint for file in latest.values()}
    assert snapshot.unreadable_files == {
        each[-1].fingerprint for each in snapshot.versions.values() if each[-1].state == "unreadable"
    }


def test_a_snapshot_is_a_value_that_later_commits_do_not_change(planned):
    store, plan = planned
    before = snapshot_of(store)
    result = write_block(store, plan.blocks[1])
    store.ledger.commit(result)
    after = before.with_results([result])
    assert (dict(before.scored), before.spectra) == ({}, 0)
    assert (after.scored, after.spectra) == ({1: result}, 8)
    assert after.outliers == len(result.outliers)
    # A block that was computed anew replaces its earlier outcome.
    assert after.with_results([replace(result, spectra=7)]).spectra == 7


def test_a_plan_that_was_lost_comes_back_in_its_place():
    first, second = AttributionPlan(0, 4, (1, 2)), AttributionPlan(1, 4, (9,))
    assert Snapshot().with_plan(second).with_plan(first).attribution_plans == (first, second)
    assert Snapshot().with_plan(first).with_plan(first).attribution_plans == (first,)


def test_rows_of_a_block_that_is_not_in_the_snapshot_are_not_flagged(planned):
    store, _ = planned
    snapshot = snapshot_of(store)
    none = np.empty(0, np.int64)
    assert store.mark_superseded(snapshot, none) == store.mark_gone(snapshot, none) == snapshot


def test_a_damaged_entry_ends_the_reading_or_is_left_out(finished):
    path = result_path("score", 1)
    finished.objects.put(path, finished.objects.get(path).replace(b'"spectra":8', b'"spectra":7'))
    with pytest.raises(StoreError, match=path):
        Snapshot.read(finished.ledger)
    errors: list[StoreError] = []
    snapshot = Snapshot.read(finished.ledger, errors.append)
    assert [error.where for error in errors] == [f"{finished.url}/{path}"]
    assert sorted(snapshot.scored) == [0, 2]


def entries(store: Path, *folders: str) -> dict[str, int]:
    """Every entry of these folders of the ledger, read once."""
    found = [path for folder in folders for path in (store / "ledger" / folder).glob("*.json")]
    return {str(path.relative_to(store)): 1 for path in found}


def test_status_reads_every_entry_once(tmp_path):
    path = tmp_path / "store.zarr"
    store = Store.create(str(path), configuration())
    run(store, RELEASE)
    run(store, listing(source_file("a", 13, "2"), source_file("b", 9)))
    with LedgerReads(path) as reads:
        status = status_of(str(path))
    assert status.superseded == 13
    assert reads.counts == entries(path, "plans", "score", "attribution", "superseded")


def test_a_run_reads_what_was_there_once_and_nothing_that_it_wrote(tmp_path):
    path = tmp_path / "store.zarr"
    store = Store.create(str(path), configuration())
    run(store, RELEASE)
    before = entries(path, "plans", "score", "attribution", "superseded")
    changed = listing(source_file("a", 13, "2"), source_file("b", 9))
    with LedgerReads(path) as reads:
        plan = run(store, changed)
    assert len(plan.blocks) == 2
    made = entries(path, "plans", "score", "attribution", "superseded")
    # A commit looks whether its entry is there, the writer of a score block whether it has flags.
    looked = {path for path in made if path.startswith(("ledger/score", "ledger/attribution"))}
    flags = {flags_path(flag, block.index) for flag in FLAGS for block in plan.blocks}
    assert reads.counts == before | dict.fromkeys(looked | flags, 1)
    assert plan_of(store, changed).blocks == ()


def test_a_store_without_entries_gives_the_empty_snapshot(tmp_path):
    store = Store.create(str(tmp_path / "store.zarr"), configuration())
    assert snapshot_of(store) == Snapshot()
