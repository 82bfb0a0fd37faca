"""What a run has finished: receipts go to the ledger one by one, as they arrive."""

from __future__ import annotations

import threading

from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.ledger import Ledger
from models.errors import WhyspecError
from tasks.run_listener import RunListener


class BlockCommits:
    """The receipts of one stage of a run. All methods may be called from any thread.

    Parameters
    ----------
    ledger : of the store; only the coordinating process has it.
    listener : told of each block after it is in the ledger.
    """

    def __init__(self, ledger: Ledger, listener: RunListener) -> None:
        self._ledger = ledger
        self._listener = listener
        self._lock = threading.Lock()
        self._results: dict[int, BlockResult] = {}
        self._stopped = threading.Event()

    def commit(self, result: BlockResult) -> None:
        """Record a finished block. Its shards are on disk, so it may now be said to exist."""
        with self._lock:
            self._ledger.commit(result)
            self._results[result.index] = result
            self._listener.finished(result)

    def is_done(self, block: ScoreBlock | AttributionBlock) -> bool:
        """Whether the block was committed in this stage."""
        with self._lock:
            return block.index in self._results

    def retrying(self, block: ScoreBlock | AttributionBlock, error: WhyspecError) -> None:
        """Tell the listener that a block will be run again."""
        with self._lock:
            self._listener.retrying(block, error)

    def stop(self) -> None:
        """Ask the tasks to begin no further block."""
        self._stopped.set()

    def is_stopped(self) -> bool:
        """Whether the tasks should begin no further block."""
        return self._stopped.is_set()

    def results(self) -> tuple[BlockResult, ...]:
        """Receipts so far, by block."""
        with self._lock:
            return tuple(self._results[index] for index in sorted(self._results))
