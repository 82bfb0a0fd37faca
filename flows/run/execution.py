"""The execution of a run, whoever asks for it: named, logged, locked, prepared, then carried out."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from engine.run.drive import GroupThreads, SubmitGroup
from engine.run.events import RunObservers
from engine.run.executor import WorkerRecipe
from flows.run.catalogue import complete_catalogue
from flows.run.executors import started_executor
from flows.run.locked_run import locked_run
from flows.run.log import RunLog, log_plan, log_summary, logged_run
from flows.run.preparation import PreparedRun
from flows.run.request import RunRequest, RunSummary
from flows.run.summary import summary_of_nothing
from flows.run.tally import RunTally
from flows.run.work import work
from infra.log_output import log_named
from infra.settings import Settings


@dataclass(frozen=True)
class ReadyRun:
    """A run that has work to do.

    Attributes
    ----------
    name : in every log record, and on the Prefect server.
    prepared : on a store that no other process writes to.
    observers : who watches it.
    """

    name: str
    prepared: PreparedRun
    observers: RunObservers


def new_run_name() -> str:
    """A name that sorts by time and does not repeat, e.g. ``20261124-093015-4f1c9a`` (UTC)."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def execute(
    name: str,
    request: RunRequest,
    settings: Settings,
    observers: RunObservers,
    carry_out: Callable[[ReadyRun], RunSummary],
) -> RunSummary:
    """Prepare a run and, if it has work to do, carry it out.

    Raises
    ------
    WhyspecError : see :func:`flows.run.locked_run.locked_run` and :func:`flows.run.work.work`.
    """
    begun, tally = time.monotonic(), RunTally()
    observers = (*observers, RunLog(), tally)
    with log_named(name), logged_run(name, request):
        with locked_run(request, settings, observers, tally.state) as prepared:
            log_plan(prepared)
            if prepared.has_work:
                _warn_of_dense_cost(prepared)
                summary = carry_out(ReadyRun(name, prepared, observers))
            else:
                # A run that was killed in its last stage left nothing else to do.
                complete_catalogue(prepared.open_store, prepared.snapshot, observers)
                summary = summary_of_nothing(prepared)
        summary = replace(summary, seconds=time.monotonic() - begun)
        log_summary(name, summary)
    return summary


def in_threads(run: ReadyRun) -> RunSummary:
    """Carry a run out in threads of this process, without Prefect."""
    with GroupThreads() as threads:
        return work_on_executor(run, threads.submit)


def work_on_executor(run: ReadyRun, submit: SubmitGroup) -> RunSummary:
    """Carry a run out on the executor that it asks for."""
    prepared = run.prepared
    settings, request = prepared.settings, prepared.request
    recipe = WorkerRecipe(
        prepared.models, request.store, settings.threads_per_worker, settings.attribution_memory
    )
    with started_executor(
        request.executor, recipe, settings, request.workers, run.name, run.observers
    ) as executor:
        return work(prepared, executor, submit, run.observers)


def _warn_of_dense_cost(prepared: PreparedRun) -> None:
    if any(card.kind != "local" for card in prepared.cards):
        # Imported here: it needs torch, which the preparation of most runs does without.
        from flows.run.dense_cost import warn_of_dense_cost

        warn_of_dense_cost(prepared.models, prepared.cards, prepared.configuration.attribution)
