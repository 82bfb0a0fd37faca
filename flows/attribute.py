"""Attribution of a store's outliers by one more method, from what the store holds: no file, no new score."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from engine.run.drive import GroupThreads, drive
from engine.run.events import RunObservers, Waiting
from engine.run.executor import WorkerRecipe
from engine.run.plan import begin_set
from engine.store.blocks import BlockResult
from engine.store.explanation_set import make_set
from engine.store.run_lock import run_lock
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from flows.run.attribution_forecast import AttributionForecast, attribution_forecast
from flows.run.attribution_preparation import PreparedAttribution, prepare_attribution, without
from flows.run.attribution_request import AttributionRequest
from flows.run.executors import started_executor
from flows.run.summary import clear_staging
from flows.run.tally import RunTally
from flows.store.attribution_summary import AttributionSummary
from infra.flow_call import as_flow
from infra.settings import Settings
from models.observers import report

if TYPE_CHECKING:
    from engine.query.settings import QuerySettings


def attribute(
    request: AttributionRequest, settings: Settings, observers: RunObservers = ()
) -> AttributionSummary:
    """:func:`attribute_outliers`, as a flow of the user's Prefect server if there is one."""

    def work(store: str, method: str | None, name: str) -> AttributionSummary:
        return attribute_outliers(
            replace(request, store=store, method=method, name=name), settings, observers
        )

    return as_flow("attribute", work)(request.store, request.method, request.name)


def attribute_outliers(
    request: AttributionRequest, settings: Settings, observers: RunObservers = ()
) -> AttributionSummary:
    """Explain outliers of a store that a set of explanations lacks; the set is made if there is none.

    Safe to stop at any moment and to run again: the same call ends in the same bytes.

    Raises
    ------
    InputError : there is no store, or a model is not there.
    ConfigurationError : the name is taken by other settings, the method does not suit a model, or what it
        needs does not fit the memory.
    RetryError : another process writes to the store, or a fault that did not pass.
    StoreError : the store is damaged.
    """
    begun, store, tally = time.monotonic(), Store.open(request.store), RunTally()
    observers = (*observers, tally)

    def on_wait(what: str) -> None:
        report(observers, Waiting(what))

    with run_lock(store.url, "attribute", wait=request.wait, state=tally.state, on_wait=on_wait) as lock:
        store.ledger.guard = lock.check
        prepared = prepare_attribution(store, request, settings)
        own, earlier = prepared.own, prepared.earlier
        explained: tuple[BlockResult, ...] = ()
        if prepared.outliers:
            make_set(store, prepared.entry)
            planned = begin_set(own, earlier, prepared.rows, _text(request.selection))
            explained = _explained(prepared, settings, planned, observers)
            earlier = planned.with_results(explained)
            clear_staging(store, prepared.snapshot)
    cautions: Counter[str] = Counter()
    for result in explained:
        cautions.update(dict(result.caution_counts))
    return AttributionSummary(
        store=store.url,
        name=prepared.entry.name,
        method=prepared.entry.method,
        settings=prepared.entry.settings,
        explained=sum(result.spectra for result in explained),
        in_set=sum(result.spectra for result in earlier.explained.values()),
        waiting=len(without(prepared.snapshot.current_outliers, earlier)),
        not_outliers=prepared.not_outliers,
        absent=prepared.absent,
        caution_counts=tuple(sorted(cautions.items())),
        seconds=time.monotonic() - begun,
    )


def plan_attribution(
    request: AttributionRequest, settings: Settings, rates: str | None = None
) -> AttributionForecast:
    """What :func:`attribute_outliers` would do and take. It writes nothing, and explains nothing.

    Parameters
    ----------
    rates : see :func:`flows.run.rates.given_rates`; None for those of another machine.

    Raises
    ------
    WhyspecError : as :func:`attribute_outliers`, where it refuses before it begins; or the rates were not
        understood.
    """
    return attribution_forecast(
        prepare_attribution(Store.open(request.store), request, settings), settings, rates
    )


def _explained(
    prepared: PreparedAttribution, settings: Settings, planned: Snapshot, observers: RunObservers
) -> tuple[BlockResult, ...]:
    """Run the blocks of a set that are not finished."""
    request, own = prepared.request, prepared.own
    recipe = WorkerRecipe(
        prepared.locations,
        request.store,
        settings.threads_per_worker,
        settings.attribution_memory,
        own.name,
    )
    with (
        GroupThreads() as threads,
        started_executor(prepared.executor, recipe, settings, request.workers, "", observers) as started,
    ):
        return drive(
            "explaining", planned.unexplained_blocks, started, threads.submit, own.ledger.commit, observers
        )


def _text(selection: QuerySettings | None) -> str:
    """A selection for people: what differs from asking for all."""
    if selection is None:
        return ""
    given = {each.name: getattr(selection, each.name) for each in fields(selection) if each.init}
    usual = type(selection)()
    return "; ".join(f"{name} {value}" for name, value in given.items() if value != getattr(usual, name))
