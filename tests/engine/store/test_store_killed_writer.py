"""A writer is killed at some moment; what was true before must still be true, and a rerun heals the rest."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.store.reading import StoreView
from engine.store.store import Store
from engine.store.verify import verify
from tests.engine.store.store_builders import configuration, listing, plan_of, run, source_file, tree_of

FILES = [("a", 130), ("b", 97), ("c", 61)]
RELEASE = listing(*(source_file(name, spectra) for name, spectra in FILES))
WRITER = f"""
import sys
from engine.store.store import Store
from tests.engine.store.store_builders import listing, run, source_file
run(Store.open(sys.argv[1]), listing(*(source_file(name, spectra) for name, spectra in {FILES})))
"""
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "store.zarr"
    run(Store.create(str(path), configuration(block_rows=32, outlier_block_rows=16)), RELEASE)
    return tree_of(path)


# Where in the run to kill: after how many ledger entries of a kind, and how much later.
@pytest.mark.parametrize(
    ("kind", "entries", "seconds"),
    [("score", 0, 0.0), ("score", 1, 0.021), ("score", 4, 0.055), ("attribution", 2, 0.013)],
)
def test_a_killed_writer_leaves_nothing_half_visible_and_a_rerun_makes_the_same_store(
    tmp_path, undisturbed, kind, entries, seconds
):
    path = tmp_path / "store.zarr"
    Store.create(str(path), configuration(block_rows=32, outlier_block_rows=16))
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT)
    try:
        begun = time.monotonic()
        # Before the first entry: as soon as the first shards are there.
        sign, wanted = (f"ledger/{kind}/*.json", entries) if entries else ("spectra/*/c/0", 5)
        while len(list(path.glob(sign))) < wanted and time.monotonic() - begun < 60:
            assert writer.poll() is None, "the writer ended before it was killed"
            time.sleep(0.001)
        time.sleep(seconds)
    finally:
        writer.kill()
        writer.wait()

    store = Store.open(str(path))
    committed = {**store.ledger.results("score")}
    view = StoreView.open(store.url)
    assert view.spectra == sum(result.spectra for result in committed.values())
    assert set(view.table(["source_row"]).index // 32) == set(committed)
    allowed = {"uncommitted-objects"}
    assert {fault.kind for fault in verify(store.url).faults} <= allowed

    remaining = plan_of(store, RELEASE).blocks
    assert {block.index for block in remaining} == set(range(9)) - set(committed)
    run(store, RELEASE)
    assert verify(store.url).ok
    assert tree_of(path) == undisturbed
