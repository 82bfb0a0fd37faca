"""What a worker logs of a block: that it began, that it is done and how long it took, or why it failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import WhyspecError
from models.log_events import log_event, log_fields

_LOG = logging.getLogger(__name__)

_W = TypeVar("_W")
_Run = Callable[[_W, ScoreBlock | AttributionBlock], BlockResult]


def logged_block(run: _Run[_W]) -> _Run[_W]:
    """A worker's ``run`` that logs; all records made within carry the block's kind and index."""

    @wraps(run)
    def logged(self: _W, block: ScoreBlock | AttributionBlock) -> BlockResult:
        name, begun = f"{block.kind} block {block.index}", time.monotonic()
        with log_fields(block_kind=block.kind, block=block.index):
            log_event(_LOG, logging.DEBUG, "block-begun", f"{name} begun", spectra=block.spectra)
            try:
                result = run(self, block)
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

    return logged


def block_counts(result: BlockResult) -> dict[str, int]:
    """Spectra, outliers, bytes written and files quarantined of a finished block."""
    return {
        "spectra": result.spectra,
        "outliers": len(result.outliers),
        "bytes": sum(written.bytes for written in result.objects),
        "quarantined": len(result.unreadable),
    }
