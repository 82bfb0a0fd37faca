"""Preparation of a run: listing, configuration, comparison with the store. Writes nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Context
from typing import TypeVar

from engine.attribution.method_choice import chosen_settings
from engine.attribution.methods import method_of
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.files.byte_source import is_local
from engine.run.block_reading import REMOTE_BYTES
from engine.run.events import FilesListed, RunObservers, Waiting
from engine.run.picking import picked
from engine.run.plan import (
    Plan,
    choose_block_rows,
    choose_outlier_block_rows,
    gone_changes,
    make_plan,
    to_explain,
)
from engine.run.quarantine import without_corrupt, without_held, without_unreadable
from engine.run.worker_memory import check_attribution_memory, worker_bytes
from engine.spectra.source_file import ReleaseListing
from engine.store.configuration import RunConfiguration
from engine.store.snapshot import Snapshot
from engine.store.store import Store, check_configuration
from engine.surveys.listing import list_release
from flows.run.class_summary import RunWarning
from flows.run.model_choice import ChosenModels, choose_models
from flows.run.own_tables import OwnTables
from flows.run.request import RunRequest
from flows.run.worker_room import check_room
from infra.settings import Settings
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard
from models.model_files import ModelFiles
from models.observers import report
from models.score_kinds import RECONSTRUCTION_SCORES

DEFAULT_THRESHOLD = 0.01

_T = TypeVar("_T")


@dataclass(frozen=True)
class PreparedRun:
    """A run that can begin.

    Attributes
    ----------
    request : what was asked.
    settings : of the machine, flags of the command included.
    models : name or absolute directory of each model, for workers; cards : theirs. Both in the order of
        the configuration.
    listing : the release.
    store : the store, or None where there is none yet; snapshot : its ledger.
    configuration : the store's, or that of the store to be made.
    plan : score blocks to do.
    waiting_outliers : outliers of earlier runs without an explanation that this run is to explain.
    warnings : what the user should know of the configuration.
    threshold_factors : to which the threshold is known of each model, see :func:`threshold_factor`.
    worker_bytes : memory that each worker needs at most.
    stale_rows : rows of earlier runs that are replaced but not marked so yet, and those whose file has
        vanished or come back since they were marked.
    """

    request: RunRequest
    settings: Settings
    models: tuple[str, ...]
    cards: tuple[ModelCard, ...]
    listing: ReleaseListing
    store: Store | None
    snapshot: Snapshot
    configuration: RunConfiguration
    plan: Plan
    waiting_outliers: int
    warnings: tuple[RunWarning, ...]
    threshold_factors: tuple[float, ...]
    worker_bytes: int
    stale_rows: int

    @property
    def open_store(self) -> Store:
        """The store of a run that holds its lock (:func:`flows.run.locked_run.locked_run`)."""
        assert self.store is not None, "locked_run makes the store"  # noqa: S101
        return self.store

    @property
    def has_work(self) -> bool:
        """Whether a run would change the store."""
        return bool(self.plan.blocks or self.waiting_outliers or self.stale_rows)


def prepare(request: RunRequest, settings: Settings, observers: RunObservers = ()) -> PreparedRun:
    """List, configure and plan.

    Raises
    ------
    InputError : the release is not there or holds nothing to read; the store's place is taken.
    ConfigurationError : release, model, store, options and machine do not fit together.
    StoreError : the store is damaged or of another schema version.
    """
    # The store first: finding it damaged after an hour of listing would be unkind.
    store = Store.open(request.store) if Store.exists(request.store) else None
    snapshot = Snapshot.read(store.ledger) if store is not None else Snapshot()

    def on_listed(done: int, files: int) -> None:
        report(observers, FilesListed(done, files))

    listing = list_release(request.release, request.layout, on_listed, snapshot.files)
    listing = without_unreadable(without_held(listing, snapshot), snapshot)
    chosen = choose_models(request, store, listing.grid)
    tables = OwnTables.of(request)
    own_class = _first(request.class_of, store.configuration.own_class if store else None, "")
    found = picked(listing, tables.wanted(own_class))
    listing = found.listing
    configuration = replace(
        configure(request, chosen, store, listing.spectra),
        targets=tables.targets_digest,
        redshifts=tables.redshifts_digest,
        own_class=own_class,
    )
    held = 0 if is_local(listing.root) else REMOTE_BYTES
    needed = worker_bytes(configuration, chosen.models, settings.attribution_memory, held)
    check_attribution_memory(configuration.attribution, chosen.models, settings.attribution_memory)
    check_room(needed, request.executor, request.workers, settings)
    if store is not None:
        check_configuration(store, configuration)
    plan = make_plan(listing, snapshot, configuration)
    if request.check_data and plan.addition is not None:
        report(observers, Waiting(f"compare {len(plan.addition.files):,} files with their DATASUMs"))
        listing = without_corrupt(listing, plan.addition.files)
        report(observers, Waiting(""))
        plan = make_plan(listing, snapshot, configuration)
    return PreparedRun(
        request=request,
        settings=settings,
        models=chosen.locations,
        cards=tuple(model.card for model in chosen.models),
        listing=listing,
        store=store,
        snapshot=snapshot,
        configuration=configuration,
        plan=plan,
        waiting_outliers=_waiting(store, snapshot, request.explain_top),
        warnings=(
            *tables.warnings(found),
            *_threshold_warnings(configuration.threshold, chosen.models),
        ),
        threshold_factors=tuple(threshold_factor(configuration.threshold, each) for each in chosen.models),
        worker_bytes=needed,
        stale_rows=len(snapshot.newly_superseded) + gone_changes(snapshot, plan, listing),
    )


def _waiting(store: Store | None, snapshot: Snapshot, top: int | None) -> int:
    return 0 if store is None or top == 0 else len(to_explain(store, snapshot, top))


def configure(
    request: RunRequest, chosen: ChosenModels, store: Store | None, spectra: int
) -> RunConfiguration:
    """The run's configuration: what was asked, else what the store has, else the defaults.

    ``spectra`` is the size of the release, from which the blocks of a new store are chosen.

    Raises
    ------
    ConfigurationError : a value is out of range, also for what a model's calibration can resolve.
    """
    old = store.configuration if store is not None else None
    threshold = _first(request.threshold, old.threshold if old else None, DEFAULT_THRESHOLD)
    attribution = chosen_settings(
        request.method,
        request.settings,
        preset=request.preset,
        options={name: getattr(request, name) for name in OcclusionSettings.names()},
        before=old.attribution if old else None,
    )
    configuration = RunConfiguration(
        models=chosen.references,
        grid=chosen.models[0].card.grid,
        reconstruction_scores=RECONSTRUCTION_SCORES,
        threshold=threshold,
        attribution=attribution,
        block_rows=_first(request.block_rows, old.block_rows if old else None, choose_block_rows(spectra)),
        outlier_block_rows=_first(
            request.outlier_block_rows,
            old.outlier_block_rows if old else None,
            choose_outlier_block_rows(spectra, threshold),
        ),
    )
    for model in chosen.models:
        _check_calibration(configuration, model)
    return configuration


def _check_calibration(configuration: RunConfiguration, model: ModelFiles) -> None:
    least = model.least_tail_probability
    if configuration.threshold < least:
        raise ConfigurationError(
            "The threshold is beyond the end of the tail that was fitted to the model's calibration spectra.",
            where="--threshold",
            got=configuration.threshold,
            allowed=(
                f"{_rounded_up(least):.3g} to 1 ({model.calibration_size:,} calibration spectra of "
                f"{model.card.name})"
            ),
            remedy="Raise the threshold and sort the outliers by score, or train with more spectra.",
            kind=ErrorKind.THRESHOLD,
        )
    attribution = configuration.attribution
    method_of(attribution).refuse(attribution, model.card, model.calibration_size)


def _rounded_up(number: float) -> float:
    """To three digits: rounded down, the least threshold that an error names would be refused itself."""
    return float(Context(prec=3, rounding=ROUND_CEILING).create_decimal(number))


def threshold_factor(threshold: float, model: ModelFiles) -> float:
    """The factor to which a threshold is known (one standard deviation); infinite from a thousand on."""
    factor = math.exp(min(model.tail_uncertainty(threshold), 7.0))
    return factor if factor < 1000 else math.inf


def known_to(factor: float) -> str:
    """The factor of :func:`threshold_factor` for people."""
    return f"a factor of {factor:.1f}" if math.isfinite(factor) else "no better than a factor of a thousand"


def _threshold_warnings(threshold: float, models: tuple[ModelFiles, ...]) -> tuple[RunWarning, ...]:
    """How well a threshold is known that is below the share of a single calibration spectrum."""
    warnings = []
    for model in models:
        spectra = model.calibration_size
        if threshold * (spectra + 1) < 1.0:
            factor = threshold_factor(threshold, model)
            text = (
                f"The threshold {threshold:g} is below 1/{spectra + 1:,}, the smallest share that the "
                f"{spectra:,} calibration spectra of {model.card.name} show. It follows from a tail fitted "
                f"to them, and is known to {known_to(factor)} (one standard deviation)."
            )
            warnings.append(RunWarning(text, severe=math.isinf(factor)))
    return tuple(warnings)


def _first(*values: _T | None) -> _T:
    """The first value that is not None."""
    return next(value for value in values if value is not None)
