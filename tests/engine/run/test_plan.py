"""Plan of a run: the state of each file, and the blocks that follow."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.run.plan import (
    Plan,
    begin,
    choose_block_rows,
    choose_outlier_block_rows,
    gone_rows,
    make_plan,
)
from engine.run.quarantine import without_held
from engine.spectra.source_file import FILE_LIST, RefusedFile, ReleaseListing
from engine.store.blocks import BlockResult, ScoreBlock
from engine.store.objects import ObjectTree
from engine.store.reading import StoreView
from engine.store.saved_plans import AttributionPlan, ScorePlan
from engine.store.snapshot import Snapshot
from engine.store.store import Store, check_configuration
from engine.store.verify import verify
from engine.surveys.desi.grid import DESI_GRID
from models.errors import ConfigurationError, InputError
from tests.engine.store.store_builders import (
    UNREADABLE,
    attribution_blocks,
    begin_plan,
    configuration,
    listing,
    plan_of,
    run,
    snapshot_of,
    source_file,
    superseded_rows,
    write_block,
)


@pytest.fixture
def store(tmp_path):
    return Store.create(str(tmp_path / "store.zarr"), configuration())


def bare_store(block_rows: int = 8) -> Store:
    """A store of which only the ledger is used, in memory."""
    memory = fsspec.filesystem("memory")
    if memory.exists("/whyspec-plans"):
        memory.rm("/whyspec-plans", recursive=True)
    return Store(ObjectTree("memory://whyspec-plans"), configuration(block_rows))


def receipt(block: ScoreBlock) -> BlockResult:
    """A finished block as the ledger sees it, without data."""
    torn = sorted({part.file.url for part in block.slices if UNREADABLE in part.file.fingerprint})
    unreadable = tuple(RefusedFile(url, "truncated-file", "It ends early.") for url in torn)
    counts = (("scored", block.spectra),)
    return BlockResult("score", block.index, block.plan, block.spectra, counts, (), unreadable, ())


def pretend(store: Store, release: ReleaseListing, finished: int | None = None):
    """A run that is killed after so many blocks, or ends; blocks leave nothing but their entry."""
    plan = plan_of(store, release)
    if plan.addition is not None:
        store.ledger.save_plan(plan.addition)
    for block in plan.blocks[:finished]:
        store.ledger.commit(receipt(block))
    return plan


def contents(plans) -> dict[tuple[str, int], int]:
    """Store row of every spectrum (fingerprint and number of it), each found exactly once."""
    rows: dict[tuple[str, int], int] = {}
    for plan in plans:
        for block in plan.blocks:
            row = block.first_row
            for part in block.slices:
                for number in range(part.start, part.stop):
                    assert (part.file.fingerprint, number) not in rows
                    rows[part.file.fingerprint, number] = row
                    row += 1
            assert row - block.first_row == block.spectra <= block.capacity
    assert len(set(rows.values())) == len(rows)
    return rows


FILES = st.lists(st.integers(0, 30), min_size=1, max_size=6)


@given(FILES, st.integers(1, 12))
def test_every_spectrum_has_one_row_and_rows_have_no_gaps(sizes, block_rows):
    release = listing(*(source_file(f"f{number}", size) for number, size in enumerate(sizes)))
    plan = make_plan(release, Snapshot(), configuration(block_rows))
    assert plan.addition is not None
    rows = contents([plan.addition])
    assert sorted(rows.values()) == list(range(sum(sizes)))
    assert list(rows) == [(f"f{number}-1", each) for number, size in enumerate(sizes) for each in range(size)]
    assert plan.spectra == sum(sizes)
    assert plan.score_blocks == len(plan.blocks) == -(-sum(sizes) // block_rows)
    assert plan.counts["new"] == len(sizes)


@settings(max_examples=40)
@given(FILES, st.integers(1, 12), st.data())
def test_a_killed_run_is_continued_with_exactly_the_rest(sizes, block_rows, data):
    release = listing(*(source_file(f"f{number}", size) for number, size in enumerate(sizes)))
    store = bare_store(block_rows)
    first = plan_of(store, release)
    done = data.draw(st.integers(0, len(first.blocks)))
    assert pretend(store, release, done).digest == first.digest
    second = plan_of(store, release)
    assert second.blocks == first.blocks[done:]
    assert second.addition is None
    pretend(store, release)
    third = plan_of(store, release)
    assert third.blocks == ()
    assert third.addition is None
    assert third.counts["unchanged"] == len(sizes)
    assert third.digest == plan_of(store, release).digest


STEPS = st.lists(
    st.tuples(
        st.dictionaries(
            st.sampled_from("abcde"),
            st.tuples(st.integers(0, 20), st.integers(1, 3), st.booleans()),
            min_size=1,
        ),
        st.one_of(st.none(), st.integers(0, 4)),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60)
@given(STEPS)
def test_rows_never_move_and_the_last_good_version_of_every_file_is_the_one_not_superseded(steps):
    """Releases come and change, files tear and heal, runs are killed: a model of it is a dict."""
    store = bare_store(4)
    assigned: dict[tuple[str, int], int] = {}
    for step, (files, finished) in enumerate([*steps, (steps[-1][0], None)]):
        release = listing(
            *(
                # A torn file differs in fingerprint from its whole self, and from its torn self of before.
                source_file(
                    name, size, f"{version}-{size}" + (f"-{UNREADABLE}-{step}" if torn and size else "")
                )
                for name, (size, version, torn) in sorted(files.items())
            )
        )
        before = store.ledger.plans()
        pretend(store, release, finished)
        plans = store.ledger.plans()
        assert plans[: len(before)] == before
        rows = {}
        for plan in plans:
            for (fingerprint, number), row in contents([plan]).items():
                rows[f"{plan.digest}/{fingerprint}", number] = row
        assert len(set(rows.values())) == len(rows)
        assert assigned.items() <= rows.items()
        assigned = rows
    superseded = set(superseded_rows(store))
    live = Counter()
    for plan in plans:
        for file, start in zip(plan.files, plan.first_rows, strict=True):
            kept = set(range(start, start + file.spectra)) - superseded
            assert kept in (set(), set(range(start, start + file.spectra)))
            if kept and UNREADABLE not in file.fingerprint:
                live[file.url] += 1
    last_good = {
        file.url: file for plan in plans for file in plan.files if UNREADABLE not in file.fingerprint
    }
    assert live == Counter(url for url, file in last_good.items() if file.spectra)


def test_new_changed_gone_and_unchanged_files_are_told_apart(store):
    run(store, listing(source_file("a", 5), source_file("b", 6), source_file("c", 7)))
    release = listing(source_file("a", 5), source_file("b", 9, "2"), source_file("d", 3))
    plan = plan_of(store, release)
    assert {file.url: file.state for file in plan.files} == {
        "/release/a.fits": "unchanged",
        "/release/b.fits": "changed",
        "/release/d.fits": "new",
        "/release/c.fits": "gone",
    }
    assert [block.index for block in plan.blocks] == [3, 4]
    assert plan.spectra == 12
    assert plan.superseded == 6


def test_a_changed_file_gets_new_rows_and_its_old_ones_are_superseded(store):
    run(store, listing(source_file("a", 5), source_file("b", 6)))
    run(store, listing(source_file("a", 5), source_file("b", 9, "2")))
    table = StoreView.open(store.url).table(["source", "superseded", "key"])
    assert table.query("superseded").index.tolist() == list(range(5, 11))
    assert set(table.query("superseded")["source"]) == {"/release/b.fits"}
    live = table.query("~superseded")
    assert len(live) == 14
    assert live["key"].is_unique
    assert verify(store.url).ok
    assert superseded_rows(store) == ()


def test_rows_are_superseded_only_when_their_successors_are_committed(store):
    old, new = listing(source_file("b", 6)), listing(source_file("b", 20, "2"))
    run(store, old)
    run(store, new, score_blocks=2)
    assert superseded_rows(store) == ()
    assert plan_of(store, new).superseded == 6
    run(store, new, score_blocks=1)
    assert superseded_rows(store) == tuple(range(6))
    assert plan_of(store, new).blocks == ()


def test_old_and_new_in_two_runs_hold_the_same_spectra_as_one_run_over_both(store, tmp_path):
    files = [source_file("a", 13), source_file("b", 9)]
    run(store, listing(files[0]))
    run(store, listing(*files))
    once = Store.create(str(tmp_path / "once.zarr"), configuration())
    run(once, listing(*files))
    tables = [StoreView.open(each.url).table().reset_index(drop=True) for each in (store, once)]
    assert tables[0].equals(tables[1])
    explained = [
        StoreView.open(each.url).outliers_table().drop(columns="row").reset_index(drop=True)
        for each in (store, once)
    ]
    assert explained[0].equals(explained[1])


def test_an_unreadable_file_is_tried_again_and_healed(store):
    torn, healed = source_file("b", 6, UNREADABLE), source_file("b", 6, "2")
    run(store, listing(source_file("a", 5), torn))
    again = plan_of(store, listing(source_file("a", 5), torn))
    assert again.counts["retry"] == 1
    assert again.spectra == 6
    run(store, listing(source_file("a", 5), torn))
    run(store, listing(source_file("a", 5), healed))
    table = StoreView.open(store.url).table(["status", "superseded", "source"])
    live = table.query("~superseded")
    assert live["source"].tolist() == ["/release/a.fits"] * 5 + ["/release/b.fits"] * 6
    assert (live["status"] != 12).all()
    assert verify(store.url).ok


def test_a_file_that_tears_keeps_the_rows_of_its_last_good_version(store):
    run(store, listing(source_file("b", 6)))
    run(store, listing(source_file("b", 6, UNREADABLE)))
    table = StoreView.open(store.url).table(["status", "superseded"])
    assert not table["superseded"].any()
    assert (table["status"] == 12).tolist() == [False] * 6 + [True] * 6


def test_a_file_that_was_refused_when_listed_is_tried_again(store):
    refused = RefusedFile("/release/b.fits", "no-redshift-file", "It has no redrock file.")
    first = run(store, listing(source_file("a", 5), refused=[refused]))
    assert first.counts["refused"] == 1
    assert first.refused == (refused,)
    plan = plan_of(store, listing(source_file("a", 5), source_file("b", 6)))
    assert {file.url: file.state for file in plan.files}["/release/b.fits"] == "retry"
    still = plan_of(store, listing(source_file("a", 5), refused=[refused]))
    assert still.blocks == ()
    assert still.counts == {**dict.fromkeys(still.counts, 0), "unchanged": 1, "refused": 1}


def test_a_release_that_was_moved_is_known_again(store):
    files = [source_file("a", 5), source_file("b", 6)]
    run(store, listing(*files))
    moved = [replace(file, url=file.url.replace("/release", "s3://bucket")) for file in files]
    plan = plan_of(store, listing(*moved, root="s3://bucket"))
    assert plan.blocks == ()
    assert plan.counts["unchanged"] == 2
    assert plan.counts["gone"] == 0


def test_newer_values_of_the_same_spectra_at_another_place_replace_the_rows(store):
    """As the coadd through a later night, in a directory of its own."""
    night = source_file("a", 5)
    run(store, listing(night, source_file("b", 9)))
    later = replace(night, url="/release/20210410/a.fits", fingerprint="a-2")
    release = listing(later, source_file("b", 9))
    plan = run(store, release)
    counts = {"changed": 1, "unchanged": 1}
    assert (plan.counts, plan.superseded) == ({**dict.fromkeys(plan.counts, 0), **counts}, 5)
    assert snapshot_of(store).rows_flagged("superseded").tolist() == [0, 1, 2, 3, 4]
    assert gone_rows(snapshot_of(store), plan, release).tolist() == []
    assert verify(store.url).ok
    assert run(store, release).blocks == ()


@pytest.mark.parametrize("first", ["plate", "fibre"])
def test_a_plate_and_the_files_of_its_fibres_do_not_both_get_rows(store, first):
    plate = replace(source_file("p", 5), reader="sdss-plate", key_prefix="26/0266-51602")
    fibres = [
        replace(source_file(f"s{mjd}", 1), reader="sdss-spec", key_prefix=f"26/0266-{mjd}-0007")
        for mjd in (51602, 51630)
    ]
    held, given = ([plate], fibres) if first == "plate" else (fibres, [plate])
    run(store, listing(*held))
    found = without_held(listing(*given), snapshot_of(store))
    assert [file.url for file in found.refused] == [given[0].url]
    assert found.refused[0].kind == "conflicting-file"
    assert f"as in {held[0].url}" in found.refused[0].reason
    assert found.files == tuple(given[1:])
    assert without_held(listing(*held), snapshot_of(store)) == listing(*held)


def test_another_release_does_not_make_the_first_one_gone(store):
    run(store, listing(source_file("a", 5)))
    other = replace(source_file("z", 5), url="/second/z.fits")
    plan = plan_of(store, listing(other, root="/second"))
    assert plan.counts == {**dict.fromkeys(plan.counts, 0), "new": 1}


def test_a_change_during_an_unfinished_run_leaves_its_blocks_as_they_were(store):
    files = [source_file("a", 13), source_file("b", 9)]
    first = run(store, listing(*files), score_blocks=1)
    plan = plan_of(store, listing(files[0], source_file("b", 4, "2")))
    assert plan.blocks[:2] == first.blocks[1:]
    assert {file.url: file.state for file in plan.files} == {
        "/release/a.fits": "unfinished",
        "/release/b.fits": "changed",
    }
    assert plan.blocks[2].first_row == 24
    assert plan.superseded == 9


def test_attribution_continues_with_the_same_blocks_after_a_kill(store):
    release = listing(source_file("a", 40), source_file("b", 30))
    run(store, release, explain=False)
    blocks = attribution_blocks(store)
    outliers = sorted(row for result in store.ledger.results("score").values() for row in result.outliers)
    assert [row for block in blocks for row in block.rows] == outliers
    assert all(block.spectra == 4 for block in blocks[:-1])
    for block in (blocks[3], blocks[0]):
        store.ledger.commit(write_block(store, block))
    assert attribution_blocks(store) == tuple(block for block in blocks if block.index not in (0, 3))
    for block in attribution_blocks(store):
        store.ledger.commit(write_block(store, block))
    assert attribution_blocks(store) == ()


def test_outliers_that_come_later_start_at_the_next_free_block(store):
    run(store, listing(source_file("a", 13)))
    before = StoreView.open(store.url).outliers_table()
    plans = store.ledger.attribution_plans()
    run(store, listing(source_file("a", 13), source_file("b", 9)))
    (earlier, later) = store.ledger.attribution_plans()
    assert (earlier,) == plans
    assert later.first_block == earlier.stop_block
    after = StoreView.open(store.url).outliers_table()
    assert after.loc[before.index].equals(before)
    assert not set(earlier.rows) & set(later.rows)


def test_superseded_rows_are_not_explained(store):
    run(store, listing(source_file("b", 16)), explain=False)
    run(store, listing(source_file("b", 16, "2")), explain=False)
    rows = {row for block in attribution_blocks(store) for row in block.rows}
    assert rows
    assert min(rows) >= 16


def test_two_runs_at_once_on_one_store_are_refused_and_leave_no_trace(store):
    before = snapshot_of(store)
    mine = plan_of(store, listing(source_file("a", 13)))
    theirs = plan_of(store, listing(source_file("b", 30)))
    begin(store, theirs, before)
    with pytest.raises(ConfigurationError, match=r"Another run started[\s\S]*blocks 0 to 1"):
        begin(store, mine, before)
    assert store.ledger.plans() == (theirs.addition,)
    begin_plan(store, theirs)


def test_a_plan_is_refused_where_grid_or_configuration_do_not_fit(store):
    release = listing(source_file("a", 5))
    with pytest.raises(ConfigurationError, match=r"another wavelength grid[\s\S]*one store, one grid"):
        plan_of(store, replace(release, grid=DESI_GRID))
    with pytest.raises(ConfigurationError, match=r"threshold: 0.5 here, 0.25 there"):
        check_configuration(store, configuration(threshold=0.5))


def test_a_file_listed_twice_is_refused():
    with pytest.raises(InputError, match=r"listed more than once[\s\S]*got: 2 times"):
        make_plan(listing(source_file("a", 5), source_file("a", 5)), Snapshot(), configuration())


def gone_files(plan: Plan) -> list[str]:
    return [file.url for file in plan.files if file.state == "gone"]


def test_only_a_listing_of_the_same_directory_by_the_same_layout_says_what_is_gone(store):
    run(store, listing(source_file("a", 5), source_file("b", 9)))
    less = listing(source_file("a", 5))
    plan = plan_of(store, less)
    assert (plan.counts["gone"], gone_files(plan)) == (1, ["/release/b.fits"])
    for other in (
        replace(less, layout=FILE_LIST),
        replace(less, layout="desi-tiles"),
        replace(less, root="/release/main"),
    ):
        assert gone_files(plan_of(store, other)) == []
    # Files that were given one by one are not missed by a listing of the directory around them.
    run(store, replace(listing(source_file("c", 3)), layout=FILE_LIST))
    assert gone_files(plan_of(store, less)) == ["/release/b.fits"]


def test_files_skipped_are_counted_and_told_but_are_no_work(store):
    def passed(name: str, kind: str) -> RefusedFile:
        return RefusedFile(f"/release/{name}.fits", kind, "It is not there.")

    run(store, listing(source_file("a", 5), source_file("b", 9)))
    over = (passed("b", "superseded"), passed("c", "not-on-disk"))
    release = replace(listing(source_file("a", 5)), skipped=over)
    plan = plan_of(store, release)
    # What the store has of a file that another one has replaced is gone from the release.
    assert {state: number for state, number in plan.counts.items() if number} == {
        "unchanged": 1, "gone": 1, "skipped": 2,
    }  # fmt: skip
    assert (plan.blocks, plan.refused, plan.skipped) == ((), (), over)
    described = json.loads(json.dumps(plan.to_dict()))
    assert [file["kind"] for file in described["skipped"]] == ["superseded", "not-on-disk"]
    assert described["changes"] == [{"url": "/release/b.fits", "state": "gone", "spectra": 9}]


def test_known_files_are_the_last_versions_that_were_planned(store):
    run(store, listing(source_file("a", 5), source_file("b", 9)))
    run(store, listing(source_file("a", 6, "2"), source_file("b", 9)))
    assert snapshot_of(store).files == {
        file.url: file for file in (source_file("a", 6, "2"), source_file("b", 9))
    }


def test_a_plan_is_described_in_json(store):
    run(store, listing(source_file("a", 5)))
    plan = plan_of(store, listing(source_file("a", 5), source_file("b", 30)))
    described = json.loads(json.dumps(plan.to_dict()))
    assert described["files"]["new"] == described["files"]["unchanged"] == 1
    assert described["changes"] == [{"url": "/release/b.fits", "state": "new", "spectra": 30}]
    assert (described["blocks"], described["spectra"]) == (4, 30)
    assert described["digest"] == plan.digest


def test_a_file_without_spectra_is_known_the_next_time(store):
    release = listing(source_file("empty", 0), source_file("a", 5))
    run(store, listing(source_file("empty", 0)))
    assert plan_of(store, release).counts["unchanged"] == 1
    run(store, release)
    assert plan_of(store, release).counts["unchanged"] == 2
    assert verify(store.url).ok


@given(st.integers(0, 10**8), st.floats(1e-4, 1))
def test_blocks_are_powers_of_two_within_bounds_and_grow_with_the_release(spectra, threshold):
    rows, outlier_rows = choose_block_rows(spectra), choose_outlier_block_rows(spectra, threshold)
    assert rows in {2**power for power in range(8, 15)}
    assert outlier_rows in {2**power for power in range(3, 9)}
    assert choose_block_rows(spectra + 1) >= rows
    if 16384 < spectra <= 1048576:
        assert 32 < spectra / rows <= 64


def test_saved_plans_know_their_blocks():
    plan = ScorePlan("/r", "desi", 2, 8, (source_file("a", 13), source_file("b", 5)), ())
    assert (plan.first_rows, plan.stop_block, plan.spectra) == ((16, 29), 5, 18)
    assert [block.spectra for block in plan.blocks] == [8, 8, 2]
    assert all(block.plan == plan.digest for block in plan.blocks)
    explaining = AttributionPlan(1, 4, tuple(np.arange(9).tolist()))
    assert [block.rows for block in explaining.blocks] == [(0, 1, 2, 3), (4, 5, 6, 7), (8,)]
    assert explaining.stop_block == 4
