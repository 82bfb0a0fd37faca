"""Serial executor: one block after another in this process, the reference for every other executor."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from engine.run.executor import Worker, WorkerRecipe
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import BugError


class SerialExecutor:
    """Runs blocks here, one at a time, whatever the number of threads that ask."""

    workers = 1
    slots = 1

    def __init__(self, recipe: WorkerRecipe) -> None:
        self._recipe = recipe
        self._worker: Worker | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Load the models."""
        self._worker = self._recipe.make()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the models."""
        self._worker = None

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        """See :class:`engine.run.executor.Executor`."""
        with self._lock:
            if self._worker is None:
                raise BugError("An executor was used outside its context.", where="SerialExecutor.run")
            return self._worker.run(block)
