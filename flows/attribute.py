"""Attribution of a store's outliers by one more method, from what the store holds: no file, no new score."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.attribution.method import MethodSettings
from engine.attribution.method_choice import chosen_settings
from engine.attribution.methods import METHODS, method_of
from engine.run.drive import GroupThreads, drive
from engine.run.events import RunObservers, Waiting
from engine.run.executor import WorkerRecipe
from engine.run.plan import begin_set
from engine.store.blocks import BlockResult
from engine.store.entries import ExplanationSetEntry
from engine.store.explanation_set import ExplanationSet, make_set
from engine.store.run_lock import run_lock
from engine.store.set_entries import check_name, check_other_than_run, check_settings
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from flows.run.executors import FEW_BLOCKS, started_executor
from flows.run.model_choice import store_models
from flows.run.request import ExecutorName
from flows.run.summary import clear_staging
from flows.run.tally import RunTally
from flows.store.attribution_summary import AttributionSummary
from infra.flow_call import as_flow
from infra.settings import Settings
from models.credentials import refuse_credentials
from models.errors import ConfigurationError, ErrorKind
from models.model_files import read_model
from models.observers import report

if TYPE_CHECKING:
    from engine.query.settings import QuerySettings


@dataclass(frozen=True)
class AttributionRequest:
    """What is asked of an attribution.

    Attributes
    ----------
    store : path or URL of a store.
    method : name of the method; None for that of the set of that name.
    name : of the set; that of the method where empty.
    settings : of the method by name, as values or as texts; those left out are as the set has them, else the
        method's defaults.
    selection : which outliers to explain; None for all.
    models : names or directories of the store's models that have moved.
    executor, workers, wait : see :class:`flows.run.request.RunRequest`.
    """

    store: str
    method: str | None = None
    name: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    selection: QuerySettings | None = None
    models: tuple[str, ...] = ()
    executor: ExecutorName = "ray"
    workers: int = 0
    wait: float = 0.0

    def __post_init__(self) -> None:
        if self.selection is not None and self.selection.columns:
            raise ConfigurationError(
                "An attribution has no columns to choose.",
                where="--columns",
                got=", ".join(self.selection.columns),
                allowed="with whyspec query",
                remedy="Leave it out.",
                kind=ErrorKind.OPTION,
            )
        refuse_credentials(self.store, *self.models, *map(str, self.settings.values()))


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
    ConfigurationError : the name is taken by other settings, or the method does not suit a model.
    RetryError : another process writes to the store, or a fault that did not pass.
    StoreError : the store is damaged.
    """
    begun, store, tally = time.monotonic(), Store.open(request.store), RunTally()
    observers = (*observers, tally)

    def on_wait(what: str) -> None:
        report(observers, Waiting(what))

    with run_lock(store.url, "attribute", wait=request.wait, state=tally.state, on_wait=on_wait) as lock:
        store.ledger.guard = lock.check
        entry = _entry(store, request)
        snapshot = Snapshot.read(store.ledger)
        selected = _selected(request, snapshot)
        own = ExplanationSet(store, entry)
        earlier = Snapshot.read(own.ledger)
        rows = _without(selected.rows, earlier)
        explained: tuple[BlockResult, ...] = ()
        if len(rows) or earlier.unexplained_blocks:
            make_set(store, entry)
            planned = begin_set(own, earlier, rows, _text(request.selection))
            models = store_models(store, request.models)
            explained = _explained(request, settings, models, own, planned, observers)
            earlier = planned.with_results(explained)
            clear_staging(store, snapshot)
    cautions: Counter[str] = Counter()
    for result in explained:
        cautions.update(dict(result.caution_counts))
    return AttributionSummary(
        store=store.url,
        name=entry.name,
        method=entry.method,
        settings=entry.settings,
        explained=sum(result.spectra for result in explained),
        in_set=sum(result.spectra for result in earlier.explained.values()),
        waiting=len(_without(snapshot.current_outliers, earlier)),
        not_outliers=selected.not_outliers,
        absent=selected.absent,
        caution_counts=tuple(sorted(cautions.items())),
        seconds=time.monotonic() - begun,
    )


def _explained(
    request: AttributionRequest,
    settings: Settings,
    models: tuple[str, ...],
    own: ExplanationSet,
    planned: Snapshot,
    observers: RunObservers,
) -> tuple[BlockResult, ...]:
    """Run the blocks of a set that are not finished."""
    blocks = planned.unexplained_blocks
    recipe = WorkerRecipe(
        models,
        request.store,
        settings.threads_per_worker,
        settings.attribution_memory,
        own.name,
    )
    executor: ExecutorName = "serial" if len(blocks) <= FEW_BLOCKS else request.executor
    with (
        GroupThreads() as threads,
        started_executor(executor, recipe, settings, request.workers, "", observers) as started,
    ):
        return drive("explaining", blocks, started, threads.submit, own.ledger.commit, observers)


def _entry(store: Store, request: AttributionRequest) -> ExplanationSetEntry:
    """The entry of the set that is asked for, which is there or suits the store."""
    there = store.ledger.explanation_sets()
    name = request.name or request.method or ""
    if request.method is None and name not in there:
        raise ConfigurationError(
            "It is not said by which method to explain.",
            where="--method",
            got=f"--name {name}, which is new" if name else "neither --method nor --name",
            allowed=", ".join(METHODS),
            remedy="Choose a method: 'whyspec methods' says what each needs. --name alone continues a set.",
            kind=ErrorKind.OPTION,
        )
    check_name(name)
    before = there[name].attribution if name in there else None
    asked = chosen_settings(request.method, request.settings, before=before)
    if before is not None:
        check_settings(name, asked, before)
    else:
        check_other_than_run(store.configuration, asked)
        _check_models(store_models(store, request.models), asked)
    return ExplanationSetEntry.of(name, asked, store.configuration)


def _check_models(locations: tuple[str, ...], asked: MethodSettings) -> None:
    """Refuse a method that does not suit one of the models."""
    method = method_of(asked)
    for location in locations:
        files = read_model(location)
        method.refuse(asked, files.card, files.calibration_size)
    if "gradient" in method.needs:
        # Imported here: what needs forward passes alone need not load the models in this process.
        from engine.attribution.subject import check_gradient
        from models.weights import load_model

        for location in locations:
            check_gradient(load_model(location).double())


@dataclass(frozen=True)
class _Selected:
    """Rows, ascending, of the outliers that are asked for; see :class:`AttributionSummary` for the others."""

    rows: NDArray[np.int64]
    not_outliers: int = 0
    absent: int = 0


def _selected(request: AttributionRequest, snapshot: Snapshot) -> _Selected:
    current = snapshot.current_outliers
    if request.selection is None:
        return _Selected(current)
    # Imported here: who explains all asks nothing.
    from engine.query.query import NOT_IN_STORE, query

    found = query(request.store, replace(request.selection, columns=("row", "status")))
    there = found["row"][found["status"] != NOT_IN_STORE].to_numpy(np.int64)
    rows = np.intersect1d(current, there)
    return _Selected(rows, len(there) - len(rows), len(found) - len(there))


def _without(rows: NDArray[np.int64], own: Snapshot) -> NDArray[np.int64]:
    """Rows that no plan of a set has."""
    planned = [np.array(plan.rows, np.int64) for plan in own.attribution_plans]
    return np.setdiff1d(rows, np.concatenate([np.empty(0, np.int64), *planned]))


def _text(selection: QuerySettings | None) -> str:
    """A selection for people: what differs from asking for all."""
    if selection is None:
        return ""
    given = {each.name: getattr(selection, each.name) for each in fields(selection) if each.init}
    usual = type(selection)()
    return "; ".join(f"{name} {value}" for name, value in given.items() if value != getattr(usual, name))
