"""A run's name and its log: begun, planned, marked, ended, whoever calls it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from inspect import signature
from typing import ParamSpec

from flows.run.preparation import PreparedRun
from flows.run.run_request import RunRequest, RunSummary
from infra.log_output import LogOutput, set_up_logging_of_flow
from infra.run_identity import current_run_id, new_run_id, run_named
from infra.settings import load_settings
from models.errors import WhyspecError
from models.log_events import log_event
from tasks.run_listener import ListenerGroup, current_listener, listening
from tasks.run_log import RunLog

_LOG = logging.getLogger(__name__)

_P = ParamSpec("_P")


def recorded(run: Callable[_P, RunSummary]) -> Callable[_P, RunSummary]:
    """A function of a ``request`` that does a run, with a name for it and a log of it.

    The command and the flow that it calls are both recorded; only the outer one tells.
    """

    @wraps(run)
    def told(*arguments: _P.args, **options: _P.kwargs) -> RunSummary:
        if current_run_id():
            return run(*arguments, **options)
        request: RunRequest = signature(run).bind(*arguments, **options).arguments["request"]
        set_up_logging_of_flow(LogOutput.of(load_settings()))
        with run_named(new_run_id()) as name, listening(ListenerGroup(current_listener(), RunLog())):
            log_event(
                _LOG, logging.INFO, "run-begun", f"run {name} begun: {request.store}",
                request=asdict(request),
            )  # fmt: skip
            try:
                summary = run(*arguments, **options)
            except WhyspecError as error:
                _log_end(error.kind, str(error))
                raise
            except BaseException as error:
                _log_end(type(error).__name__, str(error))
                raise
            for warning in summary.warnings:
                log_event(
                    _LOG, logging.WARNING, "run-warning", warning.text, severe=warning.severe,
                )  # fmt: skip
            log_event(
                _LOG, logging.INFO, "run-ended",
                f"run {name} ended: {summary.spectra} spectra, {summary.outliers} outliers, "
                f"{len(summary.quarantined)} files quarantined in {summary.seconds:.1f} s",
                outcome="done", **_counts(summary),
            )  # fmt: skip
            return summary

    return told


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


def _log_end(kind: str, reason: str) -> None:
    # Not an error of the log's: whoever catches it shows it.
    log_event(
        _LOG, logging.INFO, "run-ended", f"run {current_run_id()} failed: {kind}",
        outcome="failed", kind=kind, reason=reason,
    )  # fmt: skip


def _counts(summary: RunSummary) -> dict[str, object]:
    return {**summary.to_dict(), "quarantined": len(summary.quarantined)}
