"""Objects of a store, on a disk and in a bucket."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from engine.files import file_systems
from engine.store.objects import ObjectTree
from engine.store.reading import StoreView
from engine.store.store import Store
from engine.store.verify import verify
from models.errors import InputError, RetryError, StoreError
from tests.engine.store.store_builders import RELEASE, configuration, run


class UnsteadyFileSystem(MemoryFileSystem):
    """A remote file system: after every ``every`` writes the next ``burst`` fail with ``error``."""

    protocol = "unsteady"
    store: dict = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    writes = 0
    every = 0
    burst = 1
    error: Exception = ConnectionResetError("reset by peer")

    def pipe_file(self, path, value, mode="overwrite", **options):
        cls = type(self)
        cls.writes += 1
        if cls.every and cls.writes >= cls.every and cls.writes % cls.every < cls.burst:
            raise cls.error
        return super().pipe_file(path, value, mode=mode, **options)


@pytest.fixture
def unsteady():
    fsspec.register_implementation("unsteady", UnsteadyFileSystem, clobber=True)
    yield UnsteadyFileSystem
    UnsteadyFileSystem.store.clear()
    UnsteadyFileSystem.every, UnsteadyFileSystem.burst = 0, 1


def test_objects_come_back_and_are_listed_once_with_their_sizes(tmp_path):
    tree = ObjectTree(str(tmp_path / "tree"))
    assert tree.sizes() == {}
    written = tree.put_all((f"a/{number}/x", bytes(number)) for number in range(20))
    assert [each.path for each in written] == [f"a/{number}/x" for number in range(20)]
    tree.put("b", b"later")
    tree.put("b", b"last")
    assert tree.sizes("a") == {f"a/{number}/x": number for number in range(20)}
    assert tree.get("b") == b"last"
    assert tree.get_all(["b", "a/3/x"]) == {"b": b"last", "a/3/x": bytes(3)}
    tree.delete(["b", "b"])
    with pytest.raises(FileNotFoundError):
        tree.get("b")


@pytest.mark.parametrize("remote", [False, True], ids=["disk", "remote"])
def test_the_tree_of_a_folder_has_its_paths_alone(tmp_path, unsteady, remote):
    tree = ObjectTree("unsteady://tree" if remote else str(tmp_path / "tree"))
    tree.put("a/1", b"outside")
    below = pickle.loads(pickle.dumps(tree.below("sets").below("lime")))  # noqa: S301 - our own
    assert below.sizes() == {}
    below.put("a/2", b"inside")
    assert (below.url, below.sizes()) == (f"{tree.url}/sets/lime", {"a/2": 6})
    assert below.get("a/2") == tree.get("sets/lime/a/2") == b"inside"
    assert tree.sizes("sets") == {"sets/lime/a/2": 6}
    with pytest.raises(StoreError, match="leads out of it") as raised:
        below.get("../other/a")
    assert raised.value.where == f"{tree.url}/sets/lime/../other/a"
    below.delete(["a/2"])
    assert tree.sizes() == {"a/1": 7}


def test_the_tree_of_a_folder_follows_no_link_on_the_way_to_it(tmp_path):
    tree = ObjectTree(str(tmp_path / "tree"))
    tree.put("a", b"")
    (tmp_path / "elsewhere" / "lime").mkdir(parents=True)
    (tmp_path / "tree" / "sets").symlink_to(tmp_path / "elsewhere")
    below = tree.below("sets/lime")
    for attempt in (lambda: below.put("b", b""), lambda: below.get("b"), below.sizes):
        with pytest.raises(StoreError, match="Something else is in the place") as raised:
            attempt()
        assert raised.value.where == f"{tree.url}/sets"
    assert list((tmp_path / "elsewhere" / "lime").iterdir()) == []


def test_an_object_is_synced_and_moved_into_place_and_its_directories_are_synced(tmp_path, monkeypatch):
    """The order of the system calls is the promise; a power cut cannot be had in a test."""
    calls: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def spy_fsync(descriptor):
        calls.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def spy_replace(source, target):
        calls.append(("replace", str(target)))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    ObjectTree(str(tmp_path)).put("group/array/c/0", b"data")
    names = [(what, name.replace(str(tmp_path), "") or "/") for what, name in calls]
    partial = names[3][1]
    assert partial.startswith("/group/array/c/.0.")
    assert partial.endswith(".partial")
    assert names == [
        ("fsync", "/"),
        ("fsync", "/group"),
        ("fsync", "/group/array"),
        ("fsync", partial),
        ("replace", "/group/array/c/0"),
        ("fsync", "/group/array/c"),
    ]


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    tree = ObjectTree(str(tmp_path))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "a").mkdir()
    with pytest.raises(RetryError, match=r"could not be written[\s\S]*No space left[\s\S]*free space"):
        tree.put("a/x", b"data")
    assert list((tmp_path / "a").iterdir()) == []


def test_a_network_that_fails_now_and_then_is_asked_again(unsteady, monkeypatch):
    monkeypatch.setattr(file_systems, "FIRST_PAUSE", 0.001)
    store = Store.create("unsteady://bucket/store.zarr", configuration())
    unsteady.every, unsteady.writes = 7, 0
    run(store, RELEASE)
    assert unsteady.writes > 7 * 10
    unsteady.every = 0
    assert verify(store.url).ok


def test_a_network_that_fails_longer_stops_the_run_which_continues_until_the_store_is_whole(
    unsteady, monkeypatch
):
    monkeypatch.setattr(file_systems, "FIRST_PAUSE", 0.001)
    store = Store.create("unsteady://bucket/store.zarr", configuration())
    # Eight writers share the burst: one of them sees four failures in a row.
    unsteady.every, unsteady.burst, unsteady.writes = 120, 8 * file_systems.ATTEMPTS, 0
    failures = 0
    for _ in range(30):
        try:
            run(Store.open(store.url), RELEASE)
            break
        except RetryError:
            failures += 1
            view = StoreView.open(store.url)
            assert view.spectra == sum(result.spectra for result in view.scored.values())
    assert failures >= 2
    unsteady.every = 0
    assert verify(store.url).ok
    assert StoreView.open(store.url).spectra == 22


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError("Access Denied"), InputError),
        (FileNotFoundError("The specified bucket does not exist"), InputError),
        (type("NoCredentialsError", (Exception,), {})("Unable to locate credentials"), InputError),
        (TimeoutError("slow"), RetryError),
        (type("EndpointConnectionError", (Exception,), {})("no route"), RetryError),
    ],
)
def test_refusals_are_told_apart_from_passing_faults(unsteady, monkeypatch, error, expected):
    monkeypatch.setattr(file_systems, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(unsteady, "error", error)
    unsteady.every = 1
    with pytest.raises(expected, match=str(error)):
        ObjectTree("unsteady://bucket").put("x", b"data")
