"""What a store holds and who works on it, for another shell."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from engine.store.lock_holder import LockHolder, LockRecord
from engine.store.run_lock import LockTiming, lock_path, run_lock
from engine.store.run_state import RunState
from engine.store.status import status_of
from engine.store.store import Store
from flows.store.status_table import status_table
from models.errors import InputError
from tests.engine.store.store_builders import RELEASE, begin_plan, configuration, plan_of, run, write_block

QUICK = LockTiming(beat=0.2, stale=1.0)
STATE = RunState("score spectra", 2, 2, 1, 3, 8, 22, 4, 0, 1, 0, 2.0)


def shown(status) -> str:
    stream = io.StringIO()
    Console(file=stream, width=250).print(status_table(status))
    return " ".join(stream.getvalue().split())


def test_a_store_that_nobody_works_on(finished):
    status = status_of(finished.url)
    assert status.running is None
    assert (status.files, status.spectra, status.scored) == (2, 22, 20)
    assert status.outliers == status.explained == 13
    assert (status.score_blocks, status.score_blocks_planned) == (3, 3)
    assert status.attribution_blocks == status.attribution_blocks_planned == 4
    assert status.is_complete
    written = datetime.fromisoformat(status.last_change)
    assert datetime.now(UTC) - written < timedelta(minutes=30)
    assert "everything that was planned is done" in shown(status)


def test_a_run_that_was_killed(planned):
    store, plan = planned
    store.ledger.commit(write_block(store, plan.blocks[0]))
    holder = replace(LockHolder.this_process("run"), started=1)
    store.objects.put(lock_path(1), LockRecord(holder, 3, STATE).to_bytes())
    status = status_of(store.url)
    assert status.running.life == "gone"
    assert (status.score_blocks, status.score_blocks_planned, status.is_complete) == (1, 3, False)
    assert "its process is gone" in shown(status)
    assert status.to_dict()["running"]["state"]["seconds_left"] == 7.0
    store.objects.delete([lock_path(1)])
    assert "the same command continues it" in shown(status_of(store.url))


def test_a_run_of_this_machine(finished):
    with run_lock(finished.url, "run", state=lambda: STATE, timing=QUICK) as lock:
        status = status_of(finished.url, QUICK)
    assert status.running.holder == lock.holder
    assert (status.running.life, status.running.state) == ("alive", STATE)
    text = shown(status)
    assert f"Held by 'whyspec run' of {lock.holder.user} on {lock.holder.host}" in text
    assert "blocks 1 of 3 spectra 8 of 22, 2.0/s outliers 4 found, 0 explained" in text
    assert "trouble 1 retries, 0 files quarantined time left 7.0 s in this stage" in text


def test_a_store_is_complete_only_when_the_work_is_done(tmp_path):
    store = Store.create(str(tmp_path / "new.zarr"), configuration())
    assert not status_of(store.url).is_complete, "nothing was planned yet"
    run(store, RELEASE, explain=False)
    status = status_of(store.url)
    assert status.score_blocks == status.score_blocks_planned == 3
    assert not status.is_complete, "no plan has the outliers yet"
    assert status.waiting_outliers == status.outliers == 13
    run(store, RELEASE)
    assert status_of(store.url).is_complete
    with run_lock(store.url, "run", timing=QUICK):
        status = status_of(store.url, QUICK)
    assert not status.is_complete, "the run may find more to do"
    assert status.to_dict()["complete"] is False


def test_a_new_stage_is_shown_at_once(finished):
    stages = ["get ready"]
    with run_lock(finished.url, "run", state=lambda: RunState(stages[-1]), timing=LockTiming(beat=4.0)):
        for stage in ("list files", "score spectra"):
            assert status_of(finished.url).running.state.stage == stages[-1]
            stages.append(stage)
            deadline = time.monotonic() + 3.0  # before the next beat
            while status_of(finished.url).running.state.stage != stage:
                assert time.monotonic() < deadline
                time.sleep(0.02)


def test_a_run_of_another_machine_is_watched_for_a_heartbeat(finished):
    holder = replace(LockHolder.this_process("run"), host="node7", place="other pid:[1]")
    finished.objects.put(lock_path(1), LockRecord(holder, 0, STATE).to_bytes())
    assert status_of(finished.url, QUICK).running.life == "unknown"
    later = LockRecord(holder, 1, replace(STATE, spectra_done=16)).to_bytes()
    timer = threading.Timer(0.1, finished.objects.put, (lock_path(1), later))
    timer.start()
    running = status_of(finished.url, LockTiming(beat=5.0)).running
    timer.join()
    assert (running.life, running.state.spectra_done) == ("alive", 16)


def test_a_damaged_lock_is_shown_as_such(finished):
    finished.objects.put(lock_path(1), b"{}")
    status = status_of(finished.url, QUICK)
    assert status.running.holder is None
    assert "a command whose lock is damaged" in shown(status)


def test_where_there_is_no_store(tmp_path):
    with pytest.raises(InputError, match="no whyspec store"):
        status_of(str(tmp_path))


def test_the_plan_of_a_run_under_way_is_counted(planned):
    store, _ = planned
    begin_plan(store, plan_of(store, RELEASE))
    assert status_of(store.url).score_blocks_planned == 3
