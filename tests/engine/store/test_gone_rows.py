"""Files that vanish from a release: their rows stay, are flagged, and lose the flag when the file is back."""

from __future__ import annotations

import pytest

from engine.run.plan import begin, begin_attribution, gone_changes, gone_rows, make_plan
from engine.spectra.source_file import RefusedFile
from engine.store.reading import StoreView
from engine.store.store import Store
from engine.store.verify import verify
from tests.engine.store.store_builders import (
    configuration,
    listing,
    mark_superseded,
    snapshot_of,
    source_file,
    tree_of,
    write_block,
    write_blocks,
)

A, B, C = source_file("a", 13), source_file("b", 9), source_file("c", 5)


def run(store, release):
    """A run as the flow does it; returns what it would have changed of the flags."""
    snapshot = snapshot_of(store)
    plan = make_plan(release, snapshot, store.configuration)
    changes = gone_changes(snapshot, plan, release)
    snapshot = write_blocks(store, plan.blocks, begin(store, plan, snapshot))
    snapshot = store.mark_superseded(snapshot, snapshot.newly_superseded)
    snapshot = store.mark_gone(snapshot, gone_rows(snapshot, plan, release))
    snapshot = begin_attribution(store, snapshot)
    assert write_blocks(store, snapshot.unexplained_blocks, snapshot) == snapshot_of(store)
    store.clear_staging()
    assert verify(store.url).ok
    return changes


def gone(store):
    view = StoreView.open(store.url)
    table = view.table(["gone", "superseded"])
    flagged = table.index[table["gone"]].tolist()
    assert table.index[view.read("spectra/gone")].tolist() == flagged
    assert set(view.outliers_table(())["gone"]) <= {True, False}
    return flagged


@pytest.fixture
def store(tmp_path):
    made = Store.create(str(tmp_path / "store.zarr"), configuration())
    assert run(made, listing(A, B, C)) == 0
    return made


def test_rows_of_a_vanished_file_are_kept_and_flagged_once(store, tmp_path):
    assert gone(store) == []
    assert run(store, listing(A, C)) == 9
    assert gone(store) == list(range(13, 22))
    before = tree_of(tmp_path)
    assert run(store, listing(A, C)) == 0
    assert tree_of(tmp_path) == before


def test_a_file_that_comes_back_leaves_no_trace(store, tmp_path):
    before = tree_of(tmp_path)
    run(store, listing(A, C))
    assert run(store, listing(A, B, C)) == 9
    assert gone(store) == []
    assert tree_of(tmp_path) == before


def test_a_file_that_comes_back_changed_has_new_rows_and_its_old_ones_are_superseded(store):
    run(store, listing(A, C))
    run(store, listing(A, source_file("b", 9, "2"), C))
    assert gone(store) == []
    table = StoreView.open(store.url).table(["superseded"])
    assert table.index[table["superseded"]].tolist() == list(range(13, 22))
    # And when it vanishes again, only the rows that count are flagged.
    run(store, listing(A, C))
    assert gone(store) == list(range(32, 41))


def test_listings_of_other_roots_and_refused_files_say_nothing(store):
    run(store, listing(A, C))
    run(store, listing(source_file("d", 4), root="/elsewhere"))
    assert gone(store) == list(range(13, 22))
    refused = [RefusedFile(C.url, "truncated-file", "It ends early.")]
    run(store, listing(A, refused=refused))
    assert gone(store) == list(range(13, 22))


def test_a_file_that_moved_to_another_root_is_back(store):
    run(store, listing(A, C))
    moved = source_file("b", 9)
    moved = type(moved)(**{name: getattr(moved, name) for name in moved.__slots__} | {"url": "/new/b.fits"})
    run(store, listing(moved, root="/new"))
    assert gone(store) == []


def test_flags_of_a_block_that_is_written_again_are_kept_and_its_receipt_is_the_same(store):
    run(store, listing(A, C))
    mark_superseded(store, [20])
    block = store.ledger.plans()[0].blocks[2]
    result = store.ledger.results("score")[2]
    assert write_block(store, block) == result
    store.ledger.commit(write_block(store, block))
    assert gone(store) == list(range(13, 22))
    assert verify(store.url).faults == ()
