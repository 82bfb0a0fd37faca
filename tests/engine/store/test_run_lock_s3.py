"""The run lock on S3: created once by If-None-Match, also when many create it at the same moment."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from engine.store.lock_holder import LockHolder, LockRecord
from engine.store.objects import ObjectTree
from engine.store.run_lock import LockTiming, found_lock, lock_path, run_lock
from engine.store.run_state import RunState
from models.errors import RetryError
from tests.servers.s3 import BUCKET, S3Server, s3, s3_user

QUICK = LockTiming(beat=0.5, stale=2.0)


__all__ = ["s3", "s3_user"]


@pytest.fixture
def bucket(s3_user: S3Server) -> str:
    return f"s3://{BUCKET}/locks"


def test_an_object_is_created_once(bucket: str) -> None:
    tree = ObjectTree(f"{bucket}/once")
    assert tree.create("a.json", b"first")
    assert not tree.create("a.json", b"second")
    assert tree.get("a.json") == b"first"
    assert tree.newest("") is not None


def test_one_holder_and_then_the_next(bucket: str) -> None:
    url = f"{bucket}/held.zarr"
    with run_lock(url, "run", timing=QUICK) as lock:
        held = f"run {lock.holder.run}"
        with pytest.raises(RetryError, match=held), run_lock(url, "run", timing=QUICK):
            pass
    with run_lock(url, "run", timing=QUICK):
        pass
    assert ObjectTree(url).sizes() == {}


def test_of_many_takers_of_a_dead_lock_one_wins(bucket: str) -> None:
    url = f"{bucket}/dead.zarr"
    dead = replace(LockHolder.this_process("run"), started=1)
    ObjectTree(url).put(lock_path(1), LockRecord(dead, 7, RunState()).to_bytes())
    winners, refused, release, barrier = [], [], threading.Event(), threading.Barrier(4)

    def take(number: int) -> None:
        barrier.wait()
        try:
            with run_lock(url, "run", timing=QUICK):
                winners.append(number)
                release.wait(60)
        except RetryError as error:
            refused.append(error)
            if len(refused) == 3:
                release.set()

    threads = [threading.Thread(target=take, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert {error.kind for error in refused} == {"store-in-use"}
    assert found_lock(ObjectTree(url)) is None
