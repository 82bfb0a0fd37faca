"""Kinds of scoring models to train, by their names on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from engine.training.request import KindName, TrainingRequest
from models.spectrum_model import SpectrumModel
from models.training.fit import TrainingPopulation, TrainingProgress, TrainingSettings, fit
from models.training.spectra import TrainingSplit
from models.variational.training import VariationalSettings, fit_variational

Callback = Callable[[TrainingProgress, SpectrumModel], None]


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
        population, data : description and origin of the spectra, for the card.
        request : how long, from which seed, with how many threads.
        callback : called after every epoch.
        checkpoints : directory of the checkpoint, from which a training that was killed continues.
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


def _variational(form: VariationalSettings) -> Trainer:
    def fitted(
        spectra: TrainingSplit,
        population: TrainingPopulation,
        request: TrainingRequest,
        data: Mapping[str, Any],
        callback: Callback,
        checkpoints: Path,
    ) -> SpectrumModel:
        settings = replace(form, epochs=request.epochs, seed=request.seed, threads=request.threads)
        return fit_variational(spectra, population, settings, data, callback, checkpoints)

    return fitted


TRAINERS: dict[KindName, Trainer] = {
    "local": _local,
    "variational": _variational(VariationalSettings()),
    "variational-published": _variational(VariationalSettings.published()),
}
