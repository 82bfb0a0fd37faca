"""The drive: blocks are submitted in groups, bounded, retried, stopped and reported here and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self

from engine.files.retries import growing_pauses, with_retries
from engine.run.events import BlockDone, BlockFailed, RunObservers, Stage, StageBegun
from engine.run.executor import Executor
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import RetryError
from models.observers import report

Block = ScoreBlock | AttributionBlock
BlockGroup = tuple[Block, ...]

RETRIES = 4
"""How often a group is run again."""

FIRST_PAUSE = 2.0
"""Seconds before the first retry, at most; the pauses double."""

LARGEST_GROUP = 32
_GROUPS_PER_SLOT = 8


class GroupWork:
    """What is done with the groups of one stage. All methods may be called from any thread.

    Parameters
    ----------
    executor : where blocks are computed.
    keep : records a finished block; one call at a time.
    observers : they see each block after it is kept, and each failure that may pass.
    """

    def __init__(
        self, executor: Executor, keep: Callable[[BlockResult], None], observers: RunObservers
    ) -> None:
        self.stopped = threading.Event()
        self._executor = executor
        self._keep = keep
        self._observers = observers
        self._lock = threading.Lock()
        self._results: dict[int, BlockResult] = {}

    def run(self, group: BlockGroup) -> None:
        """Compute and keep the blocks of a group that are not kept yet, until the stage is stopped.

        Raises
        ------
        RetryError : a block failed in a way that may pass; running the group again goes on with it.
        WhyspecError : a block failed for good.
        """
        for block in group:
            if self.stopped.is_set():
                return
            if block.index in self._results:
                continue
            try:
                self._finish(self._executor.run(block))
            except RetryError as error:
                if self.stopped.is_set():
                    return  # the executor was closed under it: nothing to retry
                with self._lock:
                    report(self._observers, BlockFailed(block, error))
                raise

    def results(self) -> tuple[BlockResult, ...]:
        """Receipts so far, by block."""
        with self._lock:
            return tuple(self._results[index] for index in sorted(self._results))

    def _finish(self, result: BlockResult) -> None:
        """Keep a block. Its shards are on disk, so it may now be said to exist."""
        with self._lock:
            self._keep(result)
            self._results[result.index] = result
            report(self._observers, BlockDone(result))


class GroupRun(Protocol):
    """A group under way: a future of :mod:`concurrent.futures`, or of Prefect."""

    def add_done_callback(self, call: Callable[[Any], None], /) -> object:
        """Have ``call`` called with this when the group has ended."""
        ...

    def result(self) -> object:
        """Nothing, once it has ended.

        Raises
        ------
        WhyspecError : what the group failed with, after the retries.
        """
        ...


SubmitGroup = Callable[[GroupWork, BlockGroup], GroupRun]
"""Begins ``work.run(group)`` in another thread; it is run again while what it fails with may pass."""


class GroupThreads:
    """Runs groups in threads of this process; a context manager that waits for them at its end.

    Enter it before the executor: when the executor ends first, so do the threads that wait for its blocks.
    """

    def __enter__(self) -> Self:
        """Get ready; threads are made when they are needed."""
        self._pool = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="blocks")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, work: GroupWork, group: BlockGroup) -> Future[None]:
        """See :data:`SubmitGroup`."""
        return self._pool.submit(
            with_retries,
            partial(work.run, group),
            growing_pauses(FIRST_PAUSE, RETRIES),
            wait=work.stopped.wait,
        )


_MOST_THREADS = 1024


def drive(
    stage: Stage,
    blocks: Sequence[Block],
    executor: Executor,
    submit: SubmitGroup,
    keep: Callable[[BlockResult], None],
    observers: RunObservers,
) -> tuple[BlockResult, ...]:
    """Run the blocks of a stage in order, as many groups at a time as the executor has slots.

    Returns the receipts, by block. After a failure no further block begins; those under way end with the
    executor or by themselves.

    Raises
    ------
    RetryError : a fault that did not pass within the retries.
    WhyspecError : a block failed for good, or could not be kept.
    """
    report(observers, StageBegun(stage, len(blocks), sum(block.spectra for block in blocks)))
    work, ended = GroupWork(executor, keep, observers), SimpleQueue[GroupRun]()
    waiting, running = grouped(blocks, executor.slots), 0
    waiting.reverse()
    try:
        while waiting or running:
            # A bounded number of groups is under way, so a failure leaves few blocks to wait for.
            while waiting and running < executor.slots:
                submit(work, waiting.pop()).add_done_callback(ended.put)
                running += 1
            ended.get().result()
            running -= 1
    except BaseException:
        work.stopped.set()
        raise
    return work.results()


def grouped(blocks: Sequence[Block], slots: int) -> list[BlockGroup]:
    """Blocks in order, cut into groups: enough of them to keep ``slots`` workers busy to the end."""
    size = max(1, min(LARGEST_GROUP, len(blocks) // (slots * _GROUPS_PER_SLOT)))
    return [tuple(blocks[start : start + size]) for start in range(0, len(blocks), size)]
