"""The flow that fits a scoring model to a release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from prefect import flow

from engine.layouts.registry import list_release
from flows.training_request import TrainingRequest
from flows.training_set import read_training_set
from models.checkpoint import NAME as CHECKPOINT
from models.errors import InputError
from models.model_card import ModelCard
from models.scoring_model import ScoringModel
from models.training import TrainingProgress, TrainingSettings, fit
from models.weights import CARD, save_model
from tasks.run_listener import current_listener

EpochListener = Callable[[TrainingProgress], None]

_epoch_listener: ContextVar[EpochListener] = ContextVar("whyspec_epoch_listener")


@flow(name="train", persist_result=False)
def train(request: TrainingRequest) -> ModelCard:
    """List, read, normalise, fit, save; returns the card of the saved model.

    Started again after it was killed, it continues from the checkpoint in the model's directory.

    Raises
    ------
    InputError : there is no release, or the model's directory holds something else.
    ConfigurationError : the spectra are too few or do not fit together.
    """
    directory = Path(request.directory)
    _check_directory(directory)
    listing = list_release(request.release, request.layout, current_listener().listing)
    spectra, population = read_training_set(listing, request)
    settings = TrainingSettings(epochs=request.epochs, seed=request.seed, threads=request.threads)
    data = {"layout": listing.layout, "files": len(listing.files), "spectra": len(spectra)}
    listener = _epoch_listener.get(None)

    def after_epoch(progress: TrainingProgress, _: ScoringModel) -> None:
        if listener is not None:
            listener(progress)

    model = fit(spectra, population, settings, data, after_epoch, checkpoints=directory)
    card = save_model(model, directory)
    (directory / CHECKPOINT).unlink(missing_ok=True)
    return card


@contextmanager
def told_of_epochs(listener: EpochListener) -> Iterator[None]:
    """Within it, trainings tell ``listener`` of every epoch."""
    token = _epoch_listener.set(listener)
    try:
        yield
    finally:
        _epoch_listener.reset(token)


def _check_directory(directory: Path) -> None:
    if (
        directory.exists()
        and not any((directory / name).is_file() for name in (CARD, CHECKPOINT))
        and (not directory.is_dir() or any(directory.iterdir()))
    ):
        raise InputError(
            "The model's directory holds something that is not a model.",
            where=str(directory),
            allowed="a new or empty directory, or one with an earlier model",
            remedy="Choose another --model, or empty the directory yourself.",
            kind="output-occupied",
        )
