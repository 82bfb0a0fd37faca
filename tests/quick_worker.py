"""A worker that loads no model and writes nothing, for tests of the processes that workers live in.

Its process imports no torch, so that it is ready in a moment.
"""

from __future__ import annotations

import time

from engine.run.executor import Worker, WorkerRecipe
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import ErrorKind, StoreError

BLOCK_SECONDS = 0.1


class QuickRecipe(WorkerRecipe):
    """Makes a :class:`QuickWorker`."""

    __slots__ = ()

    def make(self) -> Worker:
        return QuickWorker()


class QuickWorker:
    """Gives a receipt of every score block, after a while, and an error for every other."""

    def run(self, block: ScoreBlock | AttributionBlock) -> BlockResult:
        if isinstance(block, AttributionBlock):
            raise StoreError(
                "The spectrum is not in the staging area.",
                where="row 0",
                got="nothing",
                remedy="Score its block again.",
                kind=ErrorKind.STAGING_MISSING,
            )
        time.sleep(BLOCK_SECONDS)
        return BlockResult(block.kind, block.index, block.plan, block.spectra, (), (), (), ())


def quick_blocks(count: int) -> tuple[ScoreBlock, ...]:
    """Score blocks of no spectra."""
    return tuple(ScoreBlock(index, 4, "plan", ()) for index in range(count))
