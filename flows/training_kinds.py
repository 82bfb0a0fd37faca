"""The kinds of scoring models that can be trained, by the name that their cards carry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from flows.training_request import TrainingRequest
from models.spectrum_model import SpectrumModel
from models.training import Callback, TrainingPopulation, TrainingSettings, TrainingSplit, fit


class Trainer(Protocol):
    """Fits a model of one kind."""

    def __call__(
        self,
        spectra: TrainingSplit,
        population: TrainingPopulation,
        request: TrainingRequest,
        data: Mapping[str, Any],
        callback: Callback,
        checkpoints: Path,
    ) -> SpectrumModel:
        """A model fitted to ``spectra``.

        Parameters
        ----------
        population, data : what the spectra are and where they came from, for the card.
        request : how long, from which seed, with how many threads.
        callback : called after every epoch.
        checkpoints : directory of the checkpoint: what was trained there before it was killed continues.
        """
        ...


def _local(
    spectra: TrainingSplit,
    population: TrainingPopulation,
    request: TrainingRequest,
    data: Mapping[str, Any],
    callback: Callback,
    checkpoints: Path,
) -> SpectrumModel:
    settings = TrainingSettings(epochs=request.epochs, seed=request.seed, threads=request.threads)
    return fit(spectra, population, settings, data, callback, checkpoints)


TRAINERS: dict[str, Trainer] = {"local": _local}
