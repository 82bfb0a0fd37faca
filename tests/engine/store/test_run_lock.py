"""One writer at a time; a holder that died does not block for ever; of two takers one wins."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from engine.store.lock_holder import LockHolder, LockRecord
from engine.store.objects import ObjectTree
from engine.store.run_lock import LockTiming, RunLock, found_lock, lock_path, run_lock
from engine.store.run_state import RunState
from engine.store.verify import verify
from models.errors import ConfigurationError, RetryError
from tests.engine.store.store_builders import mark_superseded, tree_of

QUICK = LockTiming(beat=0.1, stale=0.8)


def elsewhere(command: str = "run") -> LockHolder:
    """A holder on another machine, of whose process nothing can be known here."""
    return replace(LockHolder.this_process(command), host="node7", place="other-boot pid:[1]")


def place_lock(store, holder, generation=1, beat=0):
    store.objects.put(lock_path(generation), LockRecord(holder, beat, RunState()).to_bytes())


def test_a_second_taker_is_told_who_holds_the_store(finished):
    with run_lock(finished.url, "run", timing=QUICK) as lock:
        begun = time.monotonic()
        with (
            pytest.raises(RetryError, match="Another process is writing to this store") as refused,
            run_lock(finished.url, "cluster", timing=QUICK),
        ):
            pass
        assert time.monotonic() - begun < 0.5
    error = refused.value
    holder = lock.holder
    assert error.kind == "store-in-use"
    assert error.got == (
        f"'whyspec run' of {holder.user} on {holder.host}, process {holder.process}, "
        f"since {holder.since} (run {holder.run})"
    )
    assert "--wait" in error.remedy


def test_after_a_normal_end_and_after_an_error_nothing_of_it_is_left(finished, tmp_path):
    before = tree_of(tmp_path)
    with run_lock(finished.url, "run", timing=QUICK):
        assert found_lock(finished.objects) is not None
        assert verify(finished.url).ok
    with pytest.raises(KeyboardInterrupt), run_lock(finished.url, "run", timing=QUICK):
        raise KeyboardInterrupt
    assert tree_of(tmp_path) == before
    assert found_lock(finished.objects) is None


def test_waiting_takes_the_store_when_the_holder_ends(finished):
    said = []
    first = RunLock(finished.objects, LockHolder.this_process("run"), timing=QUICK)
    first.take(0.0, lambda _: None)
    timer = threading.Timer(0.3, first.release)
    timer.start()
    with run_lock(finished.url, "repair", wait=30, on_wait=said.append, timing=QUICK) as second:
        found = found_lock(finished.objects)
        assert found is not None
        assert found.record.holder == second.holder
    timer.join()
    assert said[0].startswith("wait for 'whyspec run' of ")
    assert said[-1] == ""


def test_waiting_ends(finished):
    with run_lock(finished.url, "run", timing=QUICK):
        begun = time.monotonic()
        with pytest.raises(RetryError), run_lock(finished.url, "run", wait=0.5, timing=QUICK):
            pass
        assert 0.5 <= time.monotonic() - begun < 3


def test_a_killed_holder_on_this_machine_is_succeeded_at_once(finished, tmp_path):
    before = tree_of(tmp_path)
    script = (
        "import sys, time\nfrom engine.store.run_lock import run_lock\n"
        "with run_lock(sys.argv[1], 'run'):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, finished.url], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RetryError, match=f"process {holder.pid}, "), run_lock(finished.url, "run"):
            pass
        holder.kill()
        holder.wait()
    assert found_lock(finished.objects).is_gone
    assert verify(finished.url).ok
    begun = time.monotonic()
    with run_lock(finished.url, "run"):
        assert time.monotonic() - begun < 1
    assert tree_of(tmp_path) == before


def test_a_number_given_to_another_process_is_not_the_holder(finished):
    here = LockHolder.this_process("run")
    assert here.life == "alive"
    assert replace(here, started=here.started - 1).life == "gone"
    assert replace(here, process=2**22 + 1).life == "gone"
    assert elsewhere().life == "unknown"
    place_lock(finished, replace(here, started=here.started - 1))
    with run_lock(finished.url, "run", timing=QUICK):
        pass


def test_a_holder_elsewhere_is_dead_when_its_lock_has_not_changed_for_long(finished, tmp_path):
    before = tree_of(tmp_path)
    place_lock(finished, replace(elsewhere(), since="2031-01-01T00:00:00Z"))  # its clock does not matter
    begun = time.monotonic()
    with run_lock(finished.url, "run", timing=QUICK):
        assert 0.8 <= time.monotonic() - begun < 3
    assert tree_of(tmp_path) == before


def test_a_holder_elsewhere_that_renews_its_lock_is_alive(finished):
    holder, done = elsewhere(), threading.Event()

    def renew() -> None:
        beat = 0
        while not done.wait(0.1):
            beat += 1
            place_lock(finished, holder, beat=beat)

    place_lock(finished, holder)
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(RetryError, match="on node7"), run_lock(finished.url, "run", timing=QUICK):
            pass
    finally:
        done.set()
        thread.join()


def test_a_damaged_lock_blocks_only_until_it_is_seen_not_to_change(finished):
    finished.objects.put(lock_path(4), b'{"holder": 1')
    with run_lock(finished.url, "run", timing=QUICK):
        assert list(finished.objects.sizes("ledger/lock")) == [lock_path(5)]


def test_of_many_takers_of_a_dead_lock_exactly_one_wins(finished):
    place_lock(finished, replace(LockHolder.this_process("run"), started=1))
    winners, refused = [], []
    barrier = threading.Barrier(6)
    release = threading.Event()

    def take(number: int) -> None:
        barrier.wait()
        try:
            with run_lock(finished.url, f"run{number}", timing=QUICK):
                winners.append(number)
                release.wait(30)
        except RetryError:
            refused.append(number)
            if len(refused) == 5:
                release.set()

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert len(refused) == 5
    assert found_lock(finished.objects) is None


def test_a_holder_that_was_taken_over_stops_before_it_commits(finished):
    result = finished.ledger.results("score")[0]
    lock = RunLock(finished.objects, LockHolder.this_process("run"), timing=LockTiming(0.2, 0.8))
    lock.take(0.0, lambda _: None)
    finished.ledger.guard = lock.check
    finished.ledger.commit(result)
    place_lock(finished, elsewhere(), generation=2)
    finished.objects.delete([lock_path(1)])
    time.sleep(0.5)
    for write in (lambda: finished.ledger.commit(result), lambda: mark_superseded(finished, [3])):
        with pytest.raises(ConfigurationError, match="Another process took this store over") as stopped:
            write()
        assert stopped.value.kind == "lock-lost"
    lock.release()
    assert list(finished.objects.sizes("ledger/lock")) == [lock_path(2)]
    assert finished.ledger.flagged("superseded") == {}


def test_a_holder_that_slept_looks_before_it_commits_though_its_heartbeat_did_not(finished):
    timing = LockTiming(beat=1000.0, stale=8000.0)  # the thread does not wake up
    lock = RunLock(finished.objects, LockHolder.this_process("run"), timing=timing)
    lock.take(0.0, lambda _: None)
    lock.check()
    place_lock(finished, elsewhere(), generation=2)
    lock.check()  # renewed just now: nobody can have taken it for dead
    lock._renewed -= 2001.0
    with pytest.raises(ConfigurationError, match="took this store over"):
        lock.check()
    lock.release()


def test_the_lock_tells_how_far_the_holder_is(finished):
    states = iter([RunState(), *(RunState("score spectra", spectra_done=9) for _ in range(1000))])
    with run_lock(finished.url, "run", state=lambda: next(states), timing=QUICK):
        deadline = time.monotonic() + 10
        while found_lock(finished.objects).record.beat < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        record = found_lock(finished.objects).record
    assert record.state == RunState("score spectra", spectra_done=9)


def test_an_object_is_created_once(tmp_path):
    tree = ObjectTree(str(tmp_path))
    assert tree.create("a/b.json", b"first")
    assert not tree.create("a/b.json", b"second")
    assert tree.get("a/b.json") == b"first"
    assert list(tree.sizes()) == ["a/b.json"]
