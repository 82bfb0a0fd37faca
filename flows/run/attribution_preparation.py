"""Preparation of an attribution: the set, the outliers it lacks, what a worker needs. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.attribution.method import MethodSettings
from engine.attribution.method_choice import chosen_settings
from engine.attribution.methods import METHODS, SECOND_METHOD, method_of
from engine.run.worker_memory import check_attribution_memory, explaining_bytes
from engine.store.entries import ExplanationSetEntry
from engine.store.explanation_set import ExplanationSet
from engine.store.set_entries import check_name, check_other_than_run, check_settings
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from flows.run.attribution_request import AttributionRequest
from flows.run.executors import FEW_BLOCKS
from flows.run.model_choice import store_models
from flows.run.request import ExecutorName
from flows.run.worker_room import check_room
from infra.settings import Settings
from models.errors import ConfigurationError, ErrorKind, InputError
from models.model_files import ModelFiles, is_model, read_model


@dataclass(frozen=True)
class PreparedAttribution:
    """An attribution that can begin.

    Attributes
    ----------
    request : what was asked.
    entry : of the set that is asked for; own : the set, which need not be there yet.
    locations : name or directory of each model, for workers; models : on disk. Both in the store's order.
    snapshot : of the store's ledger; earlier : of the set's.
    rows : ascending, of the outliers that no plan of the set has.
    not_outliers, absent : see :class:`flows.store.attribution_summary.AttributionSummary`.
    worker_bytes : memory that each worker needs at most.
    """

    request: AttributionRequest
    entry: ExplanationSetEntry
    own: ExplanationSet
    locations: tuple[str, ...]
    models: tuple[ModelFiles, ...]
    snapshot: Snapshot
    earlier: Snapshot
    rows: NDArray[np.int64]
    not_outliers: int
    absent: int
    worker_bytes: int

    @property
    def outliers(self) -> int:
        """To explain, those of blocks that were planned before and are not finished included."""
        return len(self.rows) + sum(len(block.rows) for block in self.earlier.unexplained_blocks)

    @property
    def executor(self) -> ExecutorName:
        """Which one does it: few blocks are done before Ray has begun."""
        block = self.own.configuration.outlier_block_rows
        blocks = -(-len(self.rows) // block) + len(self.earlier.unexplained_blocks)
        return "serial" if blocks <= FEW_BLOCKS else self.request.executor


def prepare_attribution(store: Store, request: AttributionRequest, settings: Settings) -> PreparedAttribution:
    """Settle the set, its outliers and its memory.

    Raises
    ------
    InputError : a model is not there.
    ConfigurationError : the name is taken by other settings, the method does not suit a model, or what it
        needs does not fit the memory.
    StoreError : the store is damaged.
    """
    there = store.ledger.explanation_sets()
    entry, locations = _entry(store, request, there), _locations(store, request)
    models = tuple(read_model(location) for location in locations)
    if entry.name not in there:
        _check_models(locations, models, entry.attribution)
    snapshot, own = Snapshot.read(store.ledger), ExplanationSet(store, entry)
    selected, earlier = _selected(request, store, snapshot), Snapshot.read(own.ledger)
    given = settings.attribution_memory
    check_attribution_memory(own.configuration.attribution, models, given)
    prepared = PreparedAttribution(
        request=request,
        entry=entry,
        own=own,
        locations=locations,
        models=models,
        snapshot=snapshot,
        earlier=earlier,
        rows=without(selected.rows, earlier),
        not_outliers=selected.not_outliers,
        absent=selected.absent,
        worker_bytes=explaining_bytes(own.configuration, models, given),
    )
    check_room(prepared.worker_bytes, prepared.executor, request.workers, settings)
    return prepared


def _entry(
    store: Store, request: AttributionRequest, there: Mapping[str, ExplanationSetEntry]
) -> ExplanationSetEntry:
    """The entry of the set that is asked for, which is ``there`` or suits the store."""
    method = request.method if request.method or request.name else SECOND_METHOD
    name = request.name or method or ""
    if method is None and name not in there:
        raise ConfigurationError(
            "It is not said by which method to explain.",
            where="--method",
            got=f"--name {name}, which is new",
            allowed=", ".join(METHODS),
            remedy="Choose a method: 'whyspec methods' says what each needs. --name alone continues a set.",
            kind=ErrorKind.OPTION,
        )
    check_name(name)
    before = there[name].attribution if name in there else None
    asked = chosen_settings(method, request.settings, before=before)
    if before is not None:
        check_settings(name, asked, before)
    else:
        check_other_than_run(store.configuration, asked)
    return ExplanationSetEntry.of(name, asked, store.configuration)


def _locations(store: Store, request: AttributionRequest) -> tuple[str, ...]:
    """Where the store's models are, in its order; refused where one is not."""
    locations = store_models(store, request.models)
    for location in locations:
        if not is_model(location):
            raise InputError(
                "A model of the store is no longer where it was.",
                where=store.url,
                got=location,
                allowed="a directory with the model's card and weights",
                remedy="Say where it is now by --model DIRECTORY. Models that are where they were need none.",
                kind=ErrorKind.NO_MODEL,
            )
    return locations


def _check_models(locations: tuple[str, ...], models: tuple[ModelFiles, ...], asked: MethodSettings) -> None:
    """Refuse a method that does not suit one of the models."""
    method = method_of(asked)
    for files in models:
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


def _selected(request: AttributionRequest, store: Store, snapshot: Snapshot) -> _Selected:
    current = snapshot.current_outliers
    if request.selection is None:
        return _Selected(current)
    # Imported here: who explains all asks nothing.
    from engine.query.query import NOT_IN_STORE, answer
    from engine.store.reading import StoreView

    view = StoreView.of(store.objects, store.configuration, snapshot)
    found = answer(view, replace(request.selection, columns=("row", "status")))
    there = found["row"][found["status"] != NOT_IN_STORE].to_numpy(np.int64)
    rows = np.intersect1d(current, there)
    return _Selected(rows, len(there) - len(rows), len(found) - len(there))


def without(rows: NDArray[np.int64], own: Snapshot) -> NDArray[np.int64]:
    """Rows that no plan of a set has."""
    planned = [np.array(plan.rows, np.int64) for plan in own.attribution_plans]
    return np.setdiff1d(rows, np.concatenate([np.empty(0, np.int64), *planned]))
