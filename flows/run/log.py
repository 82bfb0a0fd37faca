"""The log of a run: begun, planned, blocks in the ledger, failures, files quarantined, ended."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from engine.run.block_log import block_counts
from engine.run.events import BlockDone, BlockFailed, RunEvent, StageBegun, WorkersReady
from engine.spectra.source_file import RefusedFile
from engine.store.blocks import BlockResult
from flows.run.preparation import PreparedRun
from flows.run.request import RunRequest, RunSummary
from models.errors import WhyspecError
from models.log_events import log_event

_LOG = logging.getLogger(__name__)


class RunLog:
    """An observer that logs."""

    def on_event(self, event: RunEvent) -> None:
        """Log what is worth it."""
        match event:
            case WorkersReady(workers, refused):
                log_event(
                    _LOG, logging.INFO, "workers-ready", f"{workers} workers are ready", workers=workers
                )
                for file in refused:
                    # No warning: the summary of the run shows them too.
                    _log_quarantined(file, logging.INFO)
            case StageBegun(stage, blocks, spectra):
                log_event(
                    _LOG, logging.INFO, "stage-begun", f"{stage}: {spectra} spectra in {blocks} blocks",
                    stage=stage, blocks=blocks, spectra=spectra,
                )  # fmt: skip
            case BlockDone(result):
                _log_committed(result)
            case BlockFailed(block, error):
                log_event(
                    _LOG, logging.WARNING, "block-retried",
                    f"{block.kind} block {block.index} will be tried again: {error.what}",
                    block_kind=block.kind, block=block.index, kind=error.kind, reason=str(error),
                )  # fmt: skip
            case _:
                pass


@contextmanager
def logged_run(run: str, request: RunRequest) -> Iterator[None]:
    """Log that a run of that name has begun and, if it fails, why."""
    log_event(
        _LOG, logging.INFO, "run-begun", f"run {run} begun: {request.store}", request=asdict(request)
    )  # fmt: skip
    try:
        yield
    except BaseException as error:
        # Not an error of the log's: whoever catches it shows it.
        kind = error.kind if isinstance(error, WhyspecError) else type(error).__name__
        log_event(
            _LOG, logging.INFO, "run-ended", f"run {run} failed: {kind}",
            outcome="failed", kind=kind, reason=str(error),
        )  # fmt: skip
        raise


def log_summary(run: str, summary: RunSummary) -> None:
    """Log the warnings of a run and that it is done."""
    for warning in summary.warnings:
        log_event(_LOG, logging.WARNING, "run-warning", warning.text, severe=warning.severe)
    log_event(
        _LOG, logging.INFO, "run-ended",
        f"run {run} ended: {summary.spectra} spectra, {summary.outliers} outliers, "
        f"{len(summary.quarantined)} files quarantined in {summary.seconds:.1f} s",
        outcome="done", **{**summary.to_dict(), "quarantined": len(summary.quarantined)},
    )  # fmt: skip


def log_plan(prepared: PreparedRun) -> None:
    """Log what a run is going to do."""
    plan = prepared.plan
    log_event(
        _LOG, logging.INFO, "plan-made",
        f"plan: {plan.spectra} spectra in {len(plan.blocks)} blocks of {prepared.listing.root}",
        plan=plan.digest, files=dict(plan.counts), blocks=len(plan.blocks), spectra=plan.spectra,
        refused=len(prepared.listing.refused), settings=prepared.settings.model_dump(mode="json"),
    )  # fmt: skip


def log_marks(mark: str, rows: int) -> None:
    """Log that rows were marked, e.g. as superseded; nothing where there are none."""
    if rows:
        log_event(_LOG, logging.INFO, "rows-marked", f"{rows} rows marked {mark}", mark=mark, rows=rows)


def _log_committed(result: BlockResult) -> None:
    counts = block_counts(result)
    text = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())
    log_event(
        _LOG, logging.INFO, "block-committed", f"{result.kind} block {result.index} committed: {text}",
        block_kind=result.kind, block=result.index, **counts,
    )  # fmt: skip
    for file in result.unreadable:
        _log_quarantined(file, logging.WARNING)


def _log_quarantined(file: RefusedFile, level: int) -> None:
    log_event(
        _LOG, level, "file-quarantined", f"quarantined: {file.url} ({file.kind})",
        file=file.url, kind=file.kind, reason=file.reason,
    )  # fmt: skip
