"""The flow that fits a scoring model to a release."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from prefect import flow

from engine.spectra.source_file import ReleaseListing
from engine.surveys.listing import list_release
from engine.training.cache import PreparedSet, held
from engine.training.listener import training_listener
from engine.training.preparation import prepare
from engine.training.reading import training_population
from engine.training.request import TrainingRequest
from flows.training.history import HISTORY, TrainingHistory
from flows.training.kinds import TRAINERS
from models.digests import digest_of
from models.errors import ErrorKind, InputError
from models.model_card import ModelCard
from models.spectrum_model import SpectrumModel
from models.training.checkpoint import NAME as CHECKPOINT
from models.training.fit import TrainingProgress
from models.weights import CARD, save_model
from tasks.run_listener import current_listener

OWN_CACHE = "training-set"
"""Where the prepared spectra lie below the model's directory, if no cache is named."""


@flow(name="train", persist_result=False)
def train(request: TrainingRequest) -> ModelCard:
    """List, choose, prepare, fit, save; returns the card of the saved model.

    Started again after it was killed, it continues from what it finds in the model's directory: the prepared
    spectra, if these were complete, and the checkpoint of the last whole epoch.

    Raises
    ------
    InputError : there is no release, or the directory of model or cache holds something else.
    ConfigurationError : the spectra are too few or do not fit together.
    """
    directory = Path(request.directory)
    _check_directory(directory)
    listing = list_release(request.release, request.layout, current_listener().listing)
    with held(Path(request.cache) if request.cache else directory / OWN_CACHE) as cache:
        card = _fit(listing, request, prepare(listing, request, cache))
    if not request.cache:
        shutil.rmtree(directory / OWN_CACHE)
    return card


def _fit(listing: ReleaseListing, request: TrainingRequest, prepared: PreparedSet) -> ModelCard:
    directory = Path(request.directory)
    population = training_population(listing, request, prepared.frame)
    data = {
        "layout": listing.layout,
        "files": len(listing.files),
        "spectra": len(prepared.split),
        "population": request.population,
        "shares": {"validation": request.validation, "calibration": request.calibration},
    }
    listener = training_listener()
    history = TrainingHistory(directory, _identity(request, prepared))

    def after_epoch(progress: TrainingProgress, _: SpectrumModel) -> None:
        history.add(progress)
        listener.epoch(progress)

    model = TRAINERS[request.kind](prepared.split, population, request, data, after_epoch, directory)
    history.draw()
    card = save_model(model, directory)
    (directory / CHECKPOINT).unlink(missing_ok=True)
    return card


def _identity(request: TrainingRequest, prepared: PreparedSet) -> str:
    """Hex digest of a training: what is trained on, and how."""
    how = {name: asdict(request)[name] for name in ("name", "kind", "epochs", "seed")}
    return digest_of(json.dumps([prepared.digest, how]).encode())


def _check_directory(directory: Path) -> None:
    known = (CARD, CHECKPOINT, HISTORY, OWN_CACHE)
    if (
        directory.exists()
        and not any((directory / name).exists() for name in known)
        and (not directory.is_dir() or any(directory.iterdir()))
    ):
        raise InputError(
            "The model's directory holds something that is not a model.",
            where=str(directory),
            allowed="a new or empty directory, or one with an earlier model",
            remedy="Choose another --model, or empty the directory yourself.",
            kind=ErrorKind.OUTPUT_OCCUPIED,
        )
