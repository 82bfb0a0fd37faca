"""Training: a scoring model is fitted to a release."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from engine.run.events import FilesListed
from engine.spectra.source_file import ReleaseListing
from engine.surveys.listing import list_release
from engine.training.cache import PreparedSet, locked
from engine.training.events import TrainingEvent, TrainingObservers
from engine.training.preparation import prepare
from engine.training.reading import training_population
from engine.training.request import TrainingRequest
from flows.training.history import HISTORY, TrainingHistory
from flows.training.kinds import TRAINERS
from flows.training.model_directory import check_model_directory
from infra.flow_call import as_flow
from models.digests import canonical_json, digest_of
from models.model_card import ModelCard
from models.model_files import CARD
from models.observers import Observer, report
from models.spectrum_model import SpectrumModel
from models.training.checkpoint import NAME as CHECKPOINT
from models.training.fit import TrainingProgress
from models.weights import save_model

OWN_CACHE = "training-set"
"""Where the prepared spectra lie below the model's directory, if no cache is named."""

TrainObservers = Sequence[Observer[FilesListed | TrainingEvent]]


def train(request: TrainingRequest, observers: TrainObservers) -> ModelCard:
    """:func:`train_model`, as a flow of the user's Prefect server if there is one."""

    def work(request: TrainingRequest) -> ModelCard:
        return train_model(request, observers)

    return as_flow("train", work)(request)


def train_model(request: TrainingRequest, observers: TrainObservers = ()) -> ModelCard:
    """List, choose, prepare, fit, save; returns the card of the saved model.

    Started again after it was killed, it continues from what it finds in the model's directory: the prepared
    spectra, if these were complete, and the checkpoint of the last whole epoch.

    Raises
    ------
    InputError : there is no release, or the directory of model or cache holds something else.
    ConfigurationError : the spectra are too few or do not fit together.
    """
    directory = Path(request.directory)
    check_model_directory(directory, (CARD, CHECKPOINT, HISTORY, OWN_CACHE))

    def on_listed(done: int, files: int) -> None:
        report(observers, FilesListed(done, files))

    listing = list_release(request.release, request.layout, on_listed)
    with locked(Path(request.cache) if request.cache else directory / OWN_CACHE) as cache:
        card = _fit(listing, request, prepare(listing, request, cache, observers), observers)
    if not request.cache:
        shutil.rmtree(directory / OWN_CACHE)
    return card


def _fit(
    listing: ReleaseListing, request: TrainingRequest, prepared: PreparedSet, observers: TrainingObservers
) -> ModelCard:
    directory = Path(request.directory)
    population = training_population(listing, request, prepared.redshift_range)
    data = {
        "layout": listing.layout,
        "files": len(listing.files),
        "spectra": len(prepared.split),
        "population": request.population,
        "shares": {"validation": request.validation, "calibration": request.calibration},
    }
    history = TrainingHistory(directory, _identity(request, prepared))

    def after_epoch(progress: TrainingProgress, _: SpectrumModel) -> None:
        history.add(progress)
        report(observers, progress)

    model = TRAINERS[request.kind](prepared.split, population, request, data, after_epoch, directory)
    history.draw()
    card = save_model(model, directory)
    (directory / CHECKPOINT).unlink(missing_ok=True)
    return card


def _identity(request: TrainingRequest, prepared: PreparedSet) -> str:
    """Hex digest of a training: its spectra and its settings."""
    how = {name: asdict(request)[name] for name in ("name", "kind", "epochs", "seed")}
    return digest_of(canonical_json([prepared.digest, how]))
