"""What the coordinator of a run logs: the plan, stages, blocks in the ledger, retries, files quarantined."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from engine.run.block_log import block_counts
from engine.spectra.source_file import RefusedFile
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import WhyspecError
from models.log_events import log_event
from tasks.run_listener import SilentListener, Stage

_LOG = logging.getLogger(__name__)


class RunLog(SilentListener):
    """Logs what a run tells its listener."""

    def ready(self, workers: int, refused: Sequence[RefusedFile]) -> None:
        """Files that were refused when they were listed: the summary of the run shows them too."""
        log_event(_LOG, logging.INFO, "workers-ready", f"{workers} workers are ready", workers=workers)
        for file in refused:
            _quarantined(file, logging.INFO)

    def stage(self, name: Stage, blocks: int, spectra: int) -> None:
        """A stage begins."""
        log_event(
            _LOG, logging.INFO, "stage-begun", f"{name}: {spectra} spectra in {blocks} blocks",
            stage=name, blocks=blocks, spectra=spectra,
        )  # fmt: skip

    def finished(self, result: BlockResult) -> None:
        """A block is in the ledger."""
        counts = block_counts(result)
        text = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())
        log_event(
            _LOG, logging.INFO, "block-committed", f"{result.kind} block {result.index} committed: {text}",
            block_kind=result.kind, block=result.index, **counts,
        )  # fmt: skip
        for file in result.unreadable:
            _quarantined(file, logging.WARNING)

    def retrying(self, block: ScoreBlock | AttributionBlock, error: WhyspecError) -> None:
        """A block will be tried again, and why."""
        log_event(
            _LOG, logging.WARNING, "block-retried",
            f"{block.kind} block {block.index} will be tried again: {error.what}",
            block_kind=block.kind, block=block.index, kind=error.kind, reason=str(error),
        )  # fmt: skip


def _quarantined(file: RefusedFile, level: int) -> None:
    log_event(
        _LOG, level, "file-quarantined", f"quarantined: {file.url} ({file.kind})",
        file=file.url, kind=file.kind, reason=file.reason,
    )  # fmt: skip
