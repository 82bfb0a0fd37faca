"""The log of a block by its worker: begun, done and how long it took, or failed and why."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import WhyspecError
from models.log_events import log_event, log_fields

_LOG = logging.getLogger(__name__)


def run_logged(
    block: ScoreBlock | AttributionBlock, run: Callable[[ScoreBlock | AttributionBlock], BlockResult]
) -> BlockResult:
    """Run a block and log it; all records made within carry the block's kind and index."""
    name, begun = f"{block.kind} block {block.index}", time.monotonic()
    with log_fields(block_kind=block.kind, block=block.index):
        log_event(_LOG, logging.DEBUG, "block-begun", f"{name} begun", spectra=block.spectra)
        try:
            result = run(block)
        except WhyspecError as error:
            seconds = round(time.monotonic() - begun, 3)
            log_event(
                _LOG, logging.INFO, "block-failed", f"{name} failed after {seconds} s: {error}",
                seconds=seconds, kind=error.kind,
            )  # fmt: skip
            raise
        seconds = round(time.monotonic() - begun, 3)
        log_event(
            _LOG, logging.INFO, "block-done", f"{name} done: {result.spectra} spectra in {seconds} s",
            seconds=seconds, **block_counts(result),
        )  # fmt: skip
        return result


def block_counts(result: BlockResult) -> dict[str, int]:
    """Spectra, outliers, bytes written and files quarantined of a finished block."""
    return {
        "spectra": result.spectra,
        "outliers": len(result.outliers),
        "bytes": sum(written.bytes for written in result.objects),
        "quarantined": len(result.unreadable),
    }
