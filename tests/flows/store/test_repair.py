"""Every injected fault is repaired, by running its blocks only, to the bytes that were there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine.run.executor import WorkerRecipe
from engine.run.plan import begin, begin_attribution, gone_rows
from engine.store.blocks import AttributionBlock, ScoreBlock
from engine.store.checksummed import checksummed, read_checksummed
from engine.store.ledger import result_path
from engine.store.reading import StoreView
from engine.store.run_lock import run_lock
from engine.store.schema import ARRAYS
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from engine.store.verify import verify
from flows.command_line import run_command
from flows.run.preparation import prepare
from flows.store.repair import RepairReport, repair
from infra.settings import Settings
from models.errors import InputError, RetryError
from tests.small_run import BLOCK_ROWS, PER_FILE, publish_sums, small_release, small_request, tree_bytes


@dataclass(frozen=True)
class Patched:
    """A store of two runs, and the release as it is now: one file changed, one vanished in between."""

    store: Path
    release: Path
    tree: dict[str, bytes]

    @property
    def url(self) -> str:
        return str(self.store)

    def is_as_it_was(self) -> bool:
        return tree_bytes(self.store) == self.tree


def run_here(release: Path, store: Path, model: Path) -> None:
    """What the flow does, without Prefect."""
    # Of so many outliers that some blocks hold none of the file that changes.
    prepared = prepare(replace(small_request(release, store, model), threshold=0.1), Settings())
    made = prepared.store or Store.create(str(store), prepared.configuration)
    snapshot = begin(made, prepared.plan, prepared.snapshot)
    worker = WorkerRecipe((str(model),), made.url).make()

    def run_all(blocks: Sequence[ScoreBlock | AttributionBlock], snapshot: Snapshot) -> Snapshot:
        results = [worker.run(block) for block in blocks]
        for result in results:
            made.ledger.commit(result)
        return snapshot.with_results(results)

    snapshot = run_all(prepared.plan.blocks, snapshot)
    snapshot = made.mark_superseded(snapshot, snapshot.newly_superseded)
    snapshot = made.mark_gone(snapshot, gone_rows(snapshot, prepared.plan, prepared.listing))
    snapshot = begin_attribution(made, snapshot)
    assert run_all(snapshot.unexplained_blocks, snapshot) == Snapshot.read(made.ledger)
    made.clear_staging()


@pytest.fixture(scope="module")
def template(release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Patched:
    folder = tmp_path_factory.mktemp("patched")
    here, store = folder / "release", folder / "odd.zarr"
    shutil.copytree(release, here)
    last = max(here.rglob("coadd-*.fits")).parent
    run_here(here, store, model)
    other = small_release(folder / "other", PER_FILE, seed=77)
    target, source = min(here.rglob("coadd-*.fits")), min(other.rglob("coadd-*.fits"))
    shutil.copyfile(source, target)
    shutil.copyfile(next(source.parent.glob("redrock-*.fits")), next(target.parent.glob("redrock-*.fits")))
    publish_sums(target.parent)
    aside = folder / "aside"
    shutil.move(last, aside)
    run_here(here, store, model)
    shutil.move(aside, last)  # a copy of it is found for the repair; the store still calls it gone
    assert verify(str(store)).ok
    return Patched(store, here, tree_bytes(store))


@pytest.fixture
def patched(template: Patched, tmp_path: Path) -> Patched:
    store = tmp_path / "odd.zarr"
    shutil.copytree(template.store, store)
    return Patched(store, template.release, template.tree)


def repaired(patched: Patched) -> RepairReport:
    return repair(patched.url, Settings())


def unchanged_blocks(patched: Patched) -> list[int]:
    """Attribution blocks of which no spectrum is in score block 0, which holds the file that changed."""
    plans = Store.open(patched.url).ledger.attribution_plans()
    return [block.index for plan in plans for block in plan.blocks if block.rows[0] >= BLOCK_ROWS]


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))


def test_the_store_has_everything_that_a_repair_must_keep(patched: Patched) -> None:
    ledger = Store.open(patched.url).ledger
    explained = sum(len(plan.blocks) for plan in ledger.attribution_plans())
    assert explained >= 4
    assert (len(ledger.results("score")), len(ledger.results("attribution"))) == (4, explained)
    assert sorted(ledger.flagged("superseded")) == [0]
    assert sorted(ledger.flagged("gone")) == [1, 2]
    assert len(ledger.plans()) == len(ledger.attribution_plans()) == 2


def test_a_whole_store_is_left_alone(patched: Patched) -> None:
    done = repaired(patched)
    assert done.before.ok
    assert (done.restored, done.scored, done.explained, done.unrepairable) == (0, 0, 0, ())
    assert patched.is_as_it_was()


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "flipped": spoil,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_damaged_object_of_every_array(patched: Patched, damage: str) -> None:
    # All arrays at once, in blocks whose files are as they were.
    blocks = {"score": 1, "attribution": unchanged_blocks(patched)[0]}
    plans = Store.open(patched.url).ledger.attribution_plans()
    (outliers,) = (b.rows for plan in plans for b in plan.blocks if b.index == blocks["attribution"])
    # Explained spectra are had from their score blocks.
    scored = {1, *(row // BLOCK_ROWS for row in outliers)}
    expected = {}
    for spec in ARRAYS:
        if damage == "missing" and spec.path in ("spectra/ra", "outliers/explained_score"):
            continue  # of a block of which nothing is left one fault is told, not fifty
        path = spec.object_path(blocks[spec.kind])
        DAMAGE[damage](patched.store / path)
        expected[path] = {"missing": "missing-object", "truncated": "wrong-size", "flipped": "wrong-digest"}[
            damage
        ]
    found = verify(patched.url)
    assert {fault.where: fault.kind for fault in found.faults} == expected
    assert all("verify --repair" in fault.remedy for fault in found.faults)
    done = repaired(patched)
    assert done.ok, done.after.faults
    assert (done.scored, done.explained, done.changed, done.unrepairable) == (len(scored), 1, (), ())
    assert patched.is_as_it_was()


@pytest.mark.usefixtures("ray")
def test_many_blocks_are_run_by_ray(patched: Patched) -> None:
    for block in (1, 2, 3):
        spoil(patched.store / f"scores/latents/c/{block}/0")
    for block in (0, 1):
        spoil(patched.store / f"outliers/combined/c/{block}/0")
    done = repair(patched.url, Settings(workers=2))
    assert (done.ok, done.scored, done.explained, done.changed) == (True, 3, 2, ())
    assert patched.is_as_it_was()


def test_only_the_damaged_block_is_run_and_its_spectra_come_from_itself(patched: Patched) -> None:
    spoil(patched.store / "outliers/maps/c/3/0/0")
    shutil.move(patched.release, patched.release.with_name("away"))
    try:
        done = repaired(patched)  # no source file is needed
    finally:
        shutil.move(patched.release.with_name("away"), patched.release)
    assert done.ok
    assert (done.restored, done.scored, done.explained) == (0, 0, 1)
    assert patched.is_as_it_was()


def test_a_block_without_its_spectra_has_its_score_blocks_scored_again(patched: Patched) -> None:
    spoil(patched.store / f"outliers/flux/c/{unchanged_blocks(patched)[0]}/0")
    done = repaired(patched)
    assert done.ok
    assert done.scored >= 1
    assert (done.explained, done.changed) == (1, ())
    assert patched.is_as_it_was()


@pytest.mark.parametrize(
    ("path", "runs"),
    [
        ("ledger/score/00000001.json", (1, 0)),
        ("ledger/attribution/{unchanged:08d}.json", (None, 1)),
        ("ledger/superseded/00000000.json", (0, 0)),
        ("ledger/gone/00000001.json", (0, 0)),
    ],
)
@pytest.mark.parametrize("lost", [False, True])
def test_a_damaged_or_lost_ledger_entry(
    patched: Patched, path: str, runs: tuple[int | None, int], lost: bool
) -> None:
    entry = patched.store / path.format(unchanged=unchanged_blocks(patched)[0])
    if lost:
        entry.unlink()
    else:
        entry.write_bytes(entry.read_bytes()[:-9])
    assert not verify(patched.url).ok
    done = repaired(patched)
    assert done.ok, done.after.faults
    assert done.scored == (done.scored if runs[0] is None else runs[0])
    assert done.explained == runs[1]
    if lost and "gone" in path:
        # Nothing says any more which rows were flagged: the next run over the release does.
        assert not StoreView.open(patched.url).table(["gone"])["gone"].iloc[BLOCK_ROWS : 2 * BLOCK_ROWS].any()
    else:
        assert patched.is_as_it_was()


def test_an_entry_without_data_and_data_without_an_entry(patched: Patched) -> None:
    store = Store.open(patched.url)
    store.objects.delete(each.path for each in store.ledger.results("score")[2].objects)
    store.objects.put("scores/score/c/9", b"of no plan")
    kinds = {fault.where: fault.kind for fault in verify(patched.url).faults}
    assert kinds == {
        result_path("score", 2): "data-missing",
        "scores/score/c/9": "uncommitted-objects",
        "spectra/gone/c/2": "missing-object",
    }
    done = repaired(patched)
    assert done.ok, done.after.faults
    assert done.scored == 1
    assert patched.is_as_it_was()


def test_documents_coordinates_and_leftovers(patched: Patched) -> None:
    (patched.store / "scores/score/zarr.json").unlink()
    (patched.store / "spectra/zarr.json").write_bytes(b"{")
    document = json.loads((patched.store / "outliers/maps/zarr.json").read_bytes())
    document["codecs"][0]["configuration"]["chunk_shape"] = [1, 1, 1]
    (patched.store / "outliers/maps/zarr.json").write_text(json.dumps(document))
    spoil(patched.store / "outliers/wavelength/c/0")
    (patched.store / "scores/.zarr.json.0123.partial").write_bytes(b"half")
    kinds = {fault.where: fault.kind for fault in verify(patched.url).faults}
    assert kinds == {
        "scores/score/zarr.json": "missing-object",
        "spectra/zarr.json": "document-damaged",
        "outliers/maps/zarr.json": "array-damaged",
        "outliers/wavelength/c/0": "wrong-coordinate",
    }
    done = repaired(patched)
    assert (done.ok, done.restored, done.scored, done.explained) == (True, 4, 0, 0)
    assert patched.is_as_it_was()


def test_an_attribution_plan_is_told_by_what_it_explained(patched: Patched) -> None:
    plan = min((patched.store / "ledger/plans").glob("attribution-*.json"))
    plan.write_bytes(b"{}")
    done = repaired(patched)
    assert (done.ok, done.restored) == (True, 1)
    assert patched.is_as_it_was()


def test_a_lost_score_plan_is_said_to_be_lost(patched: Patched) -> None:
    plan = next(
        path
        for path in (patched.store / "ledger/plans").glob("*.json")
        if not path.name.startswith("attribution-")
    )
    plan.write_bytes(b"{}")
    done = repaired(patched)
    assert not done.ok
    said = {fault.kind: fault.remedy for fault in done.unrepairable}
    assert set(said) == {"ledger-damaged", "plan-missing"}
    assert "from a copy of the store" in said["ledger-damaged"]


def test_a_source_that_has_changed_or_is_gone_is_said_and_nothing_is_overwritten(
    patched: Patched, capsys: pytest.CaptureFixture[str]
) -> None:
    # Block 0 holds the old version of the file that was replaced.
    spoil(patched.store / "scores/score/c/0")
    before = tree_bytes(patched.store)
    done = repaired(patched)
    assert not done.ok
    (fault,) = done.unrepairable
    assert (fault.kind, fault.where) == ("source-changed", "ledger/score/00000000.json")
    assert fault.what.endswith("has changed since it was read")
    assert tree_bytes(patched.store) == before
    assert run_command(["verify", patched.url, "--repair"]) == 65
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 fault that cannot be repaired" in shown


def test_the_command_says_what_it_did(patched: Patched, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(patched.store / "outliers/spread/c/1/0/0")
    assert run_command(["verify", patched.url]) == 65
    capsys.readouterr()
    assert run_command(["verify", patched.url, "--repair", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert (answer["scored"], answer["explained"]) == (0, 1)
    assert [fault["kind"] for fault in answer["before"]["faults"]] == ["wrong-digest"]
    assert patched.is_as_it_was()


def test_a_repair_waits_for_nobody_unless_asked_and_takes_the_lock(patched: Patched) -> None:
    with run_lock(patched.url, "run"), pytest.raises(RetryError, match="'whyspec run' of "):
        repaired(patched)
    with pytest.raises(InputError, match="no whyspec store"):
        repair(str(patched.store / "nothing"), Settings())


def test_nothing_is_repaired_while_something_else_is_in_the_place_of_an_object(
    patched: Patched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside, pipe = patched.store / "scores/score", patched.store / "ledger/score/00000002.json"
    outside = tmp_path / "outside"
    inside.rename(outside)
    (outside / "c/1").unlink()
    inside.symlink_to(outside)
    pipe.unlink()
    os.mkfifo(pipe)
    spoil(patched.store / "outliers/maps/zarr.json")
    before = tree_bytes(outside)
    assert run_command(["verify", patched.url, "--repair", "--json"]) == 65
    told = json.loads(capsys.readouterr().out)
    left = {(fault["kind"], fault["where"]) for fault in told["unrepairable"]}
    assert left == {("foreign-object", "scores/score"), ("foreign-object", "ledger/score/00000002.json")}
    assert tree_bytes(outside) == before
    inside.unlink()
    outside.rename(inside)
    pipe.unlink()
    assert repaired(patched).ok
    assert patched.is_as_it_was()


def test_an_entry_that_names_what_is_outside_is_made_again(patched: Patched, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not of the store")
    path = patched.store / "ledger/score/00000001.json"
    body = json.loads(read_checksummed(path.read_bytes(), "", ""))
    body["objects"][0]["path"] = "../secret"
    path.write_bytes(checksummed(body))
    done = repaired(patched)
    assert ("object-name", "../secret") in {(fault.kind, fault.where) for fault in done.before.faults}
    assert done.ok
    assert patched.is_as_it_was()
    assert (tmp_path / "secret").read_text() == "not of the store"
