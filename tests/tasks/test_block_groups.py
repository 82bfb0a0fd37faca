"""Groups of blocks as Prefect tasks: what is retried how often, and what is not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.ledger import Ledger
from engine.store.objects import ObjectTree
from models.errors import RetryError, StoreError, WhyspecError
from tasks.block_commits import BlockCommits
from tasks.block_groups import LARGEST_GROUP, RETRIES, Block, grouped, run_group
from tasks.run_listener import SilentListener


def block(index: int) -> AttributionBlock:
    return AttributionBlock(index, 4, "plan", (4 * index,))


class FailingExecutor:
    """Fails on some blocks a set number of times, and counts every call."""

    slots = 2

    def __init__(self, failures: dict[int, list[WhyspecError]]) -> None:
        self.failures = failures
        self.calls: Counter[int] = Counter()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        with self._lock:
            self.calls[block.index] += 1
            left = self.failures.get(block.index, [])
            if left:
                raise left.pop(0)
        return BlockResult(block.kind, block.index, block.plan, 1, (("scored", 1),), (), (), ())


class Told(SilentListener):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.finished_blocks: list[int] = []
        self.retried: list[int] = []

    def finished(self, result: BlockResult) -> None:
        self.finished_blocks.append(result.index)

    def retrying(self, block: ScoreBlock | AttributionBlock, error: WhyspecError) -> None:
        assert isinstance(error, RetryError)
        self.retried.append(block.index)


def run_all(
    executor: FailingExecutor, groups: Iterable[tuple[Block, ...]], ledger: Ledger
) -> tuple[BlockCommits, Told]:
    told = Told()
    commits = BlockCommits(ledger, told)
    quick = run_group.with_options(retry_delay_seconds=0.01, retry_jitter_factor=0)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))  # type: ignore[arg-type]
    def stage() -> None:
        for future in [quick.submit(group, executor, commits) for group in groups]:
            future.result()

    stage()
    return commits, told


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(ObjectTree(str(tmp_path)))


@given(st.integers(0, 3000), st.integers(1, 200))
def test_groups_hold_every_block_once_in_order(blocks: int, slots: int) -> None:
    every = [block(index) for index in range(blocks)]
    groups = grouped(every, slots)
    assert [each for group in groups for each in group] == every
    assert all(0 < len(group) <= LARGEST_GROUP for group in groups)
    # Nobody is left without work while others have more than one group.
    assert len(groups) >= min(blocks, slots)


@pytest.mark.usefixtures("prefect")
def test_a_passing_fault_is_retried_from_the_block_that_met_it(ledger: Ledger) -> None:
    fault = RetryError("The store did not answer.", where="store")
    executor = FailingExecutor({1: [fault, fault], 4: [fault]})
    groups = [(block(0), block(1), block(2)), (block(3), block(4))]
    commits, told = run_all(executor, groups, ledger)
    assert executor.calls == {0: 1, 1: 3, 2: 1, 3: 1, 4: 2}
    assert sorted(told.finished_blocks) == [0, 1, 2, 3, 4]
    assert sorted(told.retried) == [1, 1, 4]
    assert [result.index for result in commits.results()] == [0, 1, 2, 3, 4]
    assert sorted(ledger.results("attribution")) == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("prefect")
def test_a_fault_that_does_not_pass_ends_the_run_with_what_was_done(ledger: Ledger) -> None:
    fault = RetryError("The disk is full.", where="store")
    executor = FailingExecutor({1: [fault] * 20})
    with pytest.raises(RetryError, match="disk is full"):
        run_all(executor, [(block(0), block(1), block(2))], ledger)
    assert executor.calls == {0: 1, 1: 1 + RETRIES}
    assert sorted(ledger.results("attribution")) == [0]


@pytest.mark.usefixtures("prefect")
def test_an_error_that_cannot_pass_is_not_retried(ledger: Ledger) -> None:
    executor = FailingExecutor({0: [StoreError("The store is damaged.", where="store")]})
    with pytest.raises(StoreError, match="damaged"):
        run_all(executor, [(block(0), block(1))], ledger)
    assert executor.calls == {0: 1}
    assert ledger.results("attribution") == {}


@pytest.mark.usefixtures("prefect")
def test_no_block_begins_after_a_stop(ledger: Ledger) -> None:
    executor, told = FailingExecutor({}), Told()
    commits = BlockCommits(ledger, told)
    commits.stop()
    run_group.fn((block(0), block(1)), executor, commits)
    assert executor.calls == {}
    assert told.finished_blocks == []
