"""Driving blocks: what is retried how often and what is not, how many run at once, what stops them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.run import drive as driving
from engine.run.drive import (
    LARGEST_GROUP,
    RETRIES,
    Block,
    BlockGroup,
    GroupThreads,
    GroupWork,
    drive,
    grouped,
)
from engine.run.events import BlockDone, BlockFailed, RunEvent, StageBegun
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.ledger import Ledger
from engine.store.objects import ObjectTree
from models.errors import RetryError, StoreError
from tests.engine.store.store_builders import configuration
from tests.failing_executor import FailingExecutor, Seen, block, blocks

AWAY = RetryError("The store did not answer.", where="store")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(ObjectTree(str(tmp_path)), configuration())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "FIRST_PAUSE", 0.01)


def drive_in_threads(
    executor: FailingExecutor, work: list[AttributionBlock], keep: Callable[[BlockResult], None], seen: Seen
) -> tuple[BlockResult, ...]:
    with GroupThreads() as threads:
        return drive("explaining", work, executor, threads.submit, keep, [seen])


@given(st.integers(0, 3000), st.integers(1, 200))
def test_groups_hold_every_block_once_in_order(count: int, slots: int) -> None:
    every: list[Block] = [*blocks(*range(count))]
    groups = grouped(every, slots)
    assert [each for group in groups for each in group] == every
    assert all(0 < len(group) <= LARGEST_GROUP for group in groups)
    # Nobody is left without work while others have more than one group.
    assert len(groups) >= min(count, slots)


@pytest.mark.usefixtures("quick")
def test_a_passing_fault_is_retried_from_the_block_that_met_it(ledger: Ledger) -> None:
    executor, seen = FailingExecutor({1: [AWAY, AWAY], 20: [AWAY]}), Seen()
    every = blocks(*range(24))
    assert len(grouped(every, executor.slots)[0]) == 3
    results = drive_in_threads(executor, every, ledger.commit, seen)
    assert executor.calls == {index: {1: 3, 20: 2}.get(index, 1) for index in range(24)}
    assert seen.done == list(range(24))
    assert seen.failed == [1, 1, 20]
    assert [result.index for result in results] == list(range(24))
    assert [*ledger.results("attribution")] == list(range(24))


@pytest.mark.usefixtures("quick")
def test_a_fault_that_does_not_pass_ends_the_stage_with_what_was_done(ledger: Ledger) -> None:
    executor = FailingExecutor({1: [AWAY] * 20})
    with pytest.raises(RetryError, match="did not answer"):
        drive_in_threads(executor, blocks(0, 1, 2), ledger.commit, Seen())
    assert executor.calls == {0: 1, 1: 1 + RETRIES}
    assert [*ledger.results("attribution")] == [0]


def test_an_error_that_cannot_pass_is_not_retried(ledger: Ledger) -> None:
    executor = FailingExecutor({0: [StoreError("The store is damaged.", where="store")]})
    with pytest.raises(StoreError, match="damaged"):
        drive_in_threads(executor, blocks(0, 1), ledger.commit, Seen())
    assert executor.calls == {0: 1}
    assert ledger.results("attribution") == {}


@pytest.mark.usefixtures("quick")
def test_a_block_that_could_not_be_kept_is_run_again() -> None:
    kept: list[int] = []

    def keep(result: BlockResult) -> None:
        kept.append(result.index)
        if kept == [0]:
            raise AWAY

    executor, seen = FailingExecutor({}), Seen()
    drive_in_threads(executor, blocks(0, 1), keep, seen)
    assert (kept, seen.done, seen.failed) == ([0, 0, 1], [0, 1], [0])
    assert executor.calls == {0: 2, 1: 1}


def test_no_block_begins_after_a_stop() -> None:
    executor, seen = FailingExecutor({}), Seen()
    work = GroupWork(executor, lambda _: None, [seen])
    work.stopped.set()
    work.run((block(0), block(1)))
    assert executor.calls == {}
    assert seen.done == []


def test_a_failure_cuts_the_pauses_of_other_groups_short(ledger: Ledger) -> None:
    """The other group waits for a second at least before it would try again."""
    executor = FailingExecutor({0: [AWAY] * 20}, slots=2)
    failing = threading.Event()

    class Damage:
        def on_event(self, event: RunEvent) -> None:
            if isinstance(event, BlockFailed):
                failing.set()

    def keep(result: BlockResult) -> None:
        assert failing.wait(20)
        raise StoreError("The store is damaged.", where="store")

    begun = time.monotonic()
    with GroupThreads() as threads, pytest.raises(StoreError):
        drive("explaining", blocks(0, 1), executor, threads.submit, keep, [Damage()])
    assert time.monotonic() - begun < driving.FIRST_PAUSE / 2
    assert executor.calls == {0: 1, 1: 1}


class CountingExecutor(FailingExecutor):
    """Counts how many blocks run at a time."""

    def __init__(self, slots: int) -> None:
        super().__init__({}, slots)
        self.running = self.most = 0
        self._counting = threading.Lock()

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        with self._counting:
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.001)
        with self._counting:
            self.running -= 1
        return super().run(block)


@given(st.integers(1, 6), st.integers(0, 40))
@settings(max_examples=25)
def test_no_more_groups_run_at_once_than_there_are_slots(slots: int, count: int) -> None:
    executor, seen = CountingExecutor(slots), Seen()
    results = drive_in_threads(executor, blocks(*range(count)), lambda _: None, seen)
    assert executor.most <= slots
    assert sorted(seen.done) == [result.index for result in results] == list(range(count))


def test_blocks_are_kept_and_shown_one_at_a_time() -> None:
    inside, order = threading.Lock(), []

    class Alone:
        def on_event(self, event: RunEvent) -> None:
            assert inside.acquire(blocking=False)
            time.sleep(0.001)
            order.append(event)
            inside.release()

    def keep(result: BlockResult) -> None:
        assert inside.acquire(blocking=False)
        time.sleep(0.001)
        order.append(result)
        inside.release()

    with GroupThreads() as threads:
        drive("scoring", blocks(*range(12)), FailingExecutor({}, 4), threads.submit, keep, [Alone()])
    assert order[0] == StageBegun("scoring", 12, 12)
    # Each is kept before anybody sees it.
    assert all(shown == BlockDone(kept) for kept, shown in zip(order[1::2], order[2::2], strict=True))


def test_an_interrupt_ends_what_runs_and_begins_nothing() -> None:
    executor, seen = FailingExecutor({}, slots=2), Seen()
    release, under_way = threading.Event(), threading.Event()

    def keep(_: BlockResult) -> None:
        under_way.set()
        assert release.wait(20)

    with GroupThreads() as threads:
        submitted: list[BlockGroup] = []

        def submit(work: GroupWork, group: BlockGroup) -> Future[None]:
            submitted.append(group)
            if len(submitted) == 2:
                assert under_way.wait(20)
                raise KeyboardInterrupt
            return threads.submit(work, group)

        with pytest.raises(KeyboardInterrupt):
            drive("explaining", blocks(*range(40)), executor, submit, keep, [seen])
        release.set()
    # The block that ran is finished and kept; the others of its group never began.
    assert len(submitted[0]) > 1
    assert executor.calls == {0: 1}
    assert seen.done == [0]
