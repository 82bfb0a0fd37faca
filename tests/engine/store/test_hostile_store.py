"""Stores made to do harm: verify names the fault within seconds, and nothing outside is touched."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.store.checksummed import checksummed, read_checksummed
from engine.store.ledger import flags_path
from engine.store.objects import ObjectTree
from engine.store.run_lock import LockTiming, lock_path, run_lock
from engine.store.status import status_of
from engine.store.store import Store
from engine.store.verify import verify
from models.errors import StoreError
from tests.engine.store.store_builders import RELEASE, mark_gone, run, snapshot_of, tree_of

QUICK = LockTiming(beat=0.01, stale=0.05)
SCORE, PLANS = "ledger/score/00000001.json", "ledger/plans"
DELETE = "Delete it, then run 'whyspec verify --repair'"


@pytest.fixture
def store(finished: Store) -> Store:
    return finished


def faults(store: Store) -> dict[str, str]:
    return {fault.where: fault.kind for fault in verify(store.url).faults}


def amend(store: Store, path: str, **changes: object) -> None:
    """Change an entry of the ledger, with the checksum that it must then have."""
    body = json.loads(read_checksummed(store.objects.get(path), path, ""))
    store.objects.put(path, checksummed({**body, **changes}))


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        folder = os.open(path.parent, os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


@pytest.mark.parametrize(
    ("put", "kind"),
    [
        (os.mkfifo, "a pipe"),
        (bind, "a socket"),
        (lambda path: path.symlink_to("nowhere"), "a symbolic link"),
        (lambda path: path.symlink_to("/dev/zero"), "a symbolic link"),
    ],
)
@pytest.mark.parametrize("place", [SCORE, "ledger/gone/00000002.json", "scores/score/c/1", "staging/x"])
def test_what_is_no_file_is_named_and_not_opened(
    store: Store, put: Callable[[Path], None], kind: str, place: str
) -> None:
    path = Path(store.url, place)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    put(path)
    (fault,) = (fault for fault in verify(store.url).faults if fault.where == place)
    assert (fault.kind, fault.what) == ("foreign-object", kind)
    assert fault.remedy.startswith(DELETE)
    if place.startswith("ledger"):
        for read in (lambda: status_of(store.url), lambda: run(Store.open(store.url), RELEASE)):
            with pytest.raises(StoreError, match=f"{place}[\\s\\S]*{kind}"):
                read()


def test_a_file_that_is_far_too_large_is_not_read(store: Store) -> None:
    for place in (SCORE, "spectra/ra/c/1", "outliers/row/zarr.json"):
        os.truncate(Path(store.url, place), 2**40)
    assert {faults(store)[place] for place in (SCORE, "outliers/row/zarr.json")} == {"foreign-object"}
    with pytest.raises(StoreError, match=f"larger than any(.|\\n)*{2**40:,} bytes"):
        status_of(store.url)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside", "spectra//ra", "a\0b", "."])
def test_a_name_that_leads_out_of_the_store_is_not_opened(store: Store, name: str) -> None:
    secret = Path(store.url).with_name("outside")
    os.mkfifo(secret)  # to open it would be to hang
    written = json.loads(store.objects.get(SCORE))["objects"]
    amend(store, SCORE, objects=[*written, {"path": name, "bytes": 6, "digest": "00"}])
    assert faults(store) == {name: "object-name", SCORE: "entry-incomplete"}
    for tree in (store.objects, ObjectTree("memory://bucket/store")):
        for act in (tree.get, tree.digest, tree.check):
            with pytest.raises(StoreError, match="leads out of it"):
                act(name)
        for write in (tree.put, tree.create):
            with pytest.raises(StoreError, match="leads out of it"):
                write(name, b"")
        with pytest.raises(StoreError, match="leads out of it"):
            tree.delete([name])


def test_a_directory_that_is_a_link_is_neither_read_nor_written(store: Store, tmp_path: Path) -> None:
    inside, outside = Path(store.url, "spectra/ra"), tmp_path / "outside"
    inside.rename(outside)
    inside.symlink_to(outside)
    before = tree_of(outside)
    assert faults(store) == {"spectra/ra": "foreign-object"}
    for write in (
        lambda: store.objects.put("spectra/ra/c/0", b""),
        lambda: store.objects.create("spectra/ra/c/9", b""),
        lambda: store.objects.delete(["spectra/ra/c/0"]),
        lambda: store.objects.sizes("spectra/ra"),
    ):
        with pytest.raises(StoreError, match=r"spectra/ra\n(.|\n)*a symbolic link"):
            write()
    assert tree_of(outside) == before


@pytest.mark.parametrize(
    "ranges",
    [[[0, 2**50]], [[-5, 3]], [[8, 8]], [[3, 2]], [[4, 6], [5, 7]], [[2**64, 2**64 + 1]], [[0, 9]]],
)
def test_flags_of_rows_that_are_not_the_blocks_are_named(store: Store, ranges: list[list[int]]) -> None:
    mark_gone(store, [1])
    path = flags_path("gone", 0)
    amend(store, path, ranges=ranges)
    assert faults(store)[path] == "ledger-damaged"
    with pytest.raises(StoreError, match=path):
        status_of(store.url)


def test_flags_of_padding_are_named(store: Store) -> None:
    mark_gone(store, [21])
    path = flags_path("gone", 2)
    amend(store, path, ranges=[[21, 23]])  # the block ends with row 21
    assert faults(store)[path] == "ledger-damaged"


@pytest.mark.parametrize(
    ("folder", "changes"),
    [
        ("score", {"spectra": 10**15}),
        ("score", {"spectra": 0}),
        ("score", {"outliers": [10**18]}),
        ("score", {"outliers": [9, 8]}),
        ("score", {"outliers": [-1]}),
        ("score", {"spectra": 8.0}),
        ("score", {"spectra": True}),
        ("score", {"index": "1"}),
        ("score", {"status_counts": {"scored": 8}}),
        ("attribution", {"spectra": 2**31}),
    ],
)
def test_numbers_that_do_not_fit_the_store_are_named(
    store: Store, folder: str, changes: dict[str, object]
) -> None:
    path = f"ledger/{folder}/00000001.json"
    amend(store, path, **changes)
    assert faults(store)[path] == "ledger-damaged"


@pytest.mark.parametrize(
    "changes",
    [{"first_block": 2**40}, {"first_block": -1}, {"capacity": 1}, {"files": [{"spectra": 10**12}]}],
)
def test_a_plan_of_more_than_a_store_can_hold_is_named(store: Store, changes: dict[str, object]) -> None:
    (plan,) = snapshot_of(store).plans
    body = plan.to_dict()
    files = [{**body["files"][0], **each} for each in changes.pop("files", [])]  # type: ignore[attr-defined]
    store.objects.put(f"{PLANS}/huge.json", checksummed({**body, **changes, "files": files or body["files"]}))
    assert faults(store)[f"{PLANS}/huge.json"] == "ledger-damaged"


@pytest.mark.parametrize("number", ["9" * 200, "0000000000001", "-0000001", "\u0661"])
def test_a_lock_of_an_impossible_number_is_no_lock(store: Store, number: str) -> None:
    path = f"ledger/lock/{number}.json"
    store.objects.put(path, b"{}")
    assert faults(store) == {path: "lock-damaged"}
    assert status_of(store.url).running is None
    with run_lock(store.url, "run", timing=QUICK):
        pass


@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_a_lock_that_is_no_file_holds_nobody_up(store: Store, put: Callable[[Path], None]) -> None:
    path = Path(store.url, lock_path(7))
    path.parent.mkdir()
    put(path)
    report = verify(store.url)
    assert {(fault.kind, fault.where) for fault in report.faults} >= {("foreign-object", lock_path(7))}
    running = status_of(store.url, QUICK).running
    assert running is not None
    assert running.holder is None
    with run_lock(store.url, "run", timing=QUICK):
        assert not path.is_symlink()
        assert not path.exists()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"block_rows": 10**12}, "cannot hold so many rows"),
        ({"block_rows": 9}, "digest does not match"),
        ({"grid": {"name": "x", "spacing": "linear", "start": 1.0, "step": 1.0, "size": 10**12}}, "grid"),
        ({"occlusion": {"windows": [2**40]}}, "scale"),
        ({"reconstruction_scores": ["a", "a"]}, "reconstruction scores"),
        ({"models": []}, "max"),
    ],
)
def test_a_configuration_that_asks_for_too_much_is_named(
    store: Store, changes: dict[str, object], what: str
) -> None:
    path = Path(store.url, "zarr.json")
    document = json.loads(path.read_text())
    document["attributes"]["configuration"].update(changes)
    path.write_text(json.dumps(document))
    with pytest.raises(StoreError, match=rf"zarr.json\n(.|\n)*{what}"):
        verify(store.url)


def test_a_store_without_its_root_is_a_damaged_store(store: Store) -> None:
    Path(store.url, "zarr.json").unlink()
    assert Store.exists(store.url)
    with pytest.raises(StoreError, match=r"zarr.json\n(.|\n)*no such object(.|\n)*Restore zarr.json"):
        Store.open(store.url)
