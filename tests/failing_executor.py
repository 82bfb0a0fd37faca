"""An executor that fails as it is told, and an observer that remembers: for tests of the drive."""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType
from typing import Self

from engine.run.events import BlockDone, BlockFailed, RunEvent
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import WhyspecError


def block(index: int) -> AttributionBlock:
    return AttributionBlock(index, 4, "plan", (4 * index,))


def blocks(*indices: int) -> list[AttributionBlock]:
    return [block(index) for index in indices]


class FailingExecutor:
    """Fails on some blocks a set number of times, and counts every call."""

    workers = 1

    def __init__(self, failures: dict[int, list[WhyspecError]], slots: int = 1) -> None:
        self.slots = slots
        self.calls: Counter[int] = Counter()
        self._failures = failures
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
            left = self._failures.get(block.index, [])
            if left:
                raise left.pop(0)
        return BlockResult(block.kind, block.index, block.plan, 1, (("scored", 1),), (), (), ())


class Seen:
    """What happened to blocks."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.failed: list[int] = []

    def on_event(self, event: RunEvent) -> None:
        match event:
            case BlockDone(result):
                self.done.append(result.index)
            case BlockFailed(failed, _):
                self.failed.append(failed.index)
            case _:
                pass
