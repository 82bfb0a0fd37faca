"""Training of a variational autoencoder, with the calibration of its scores."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.model_card import ModelCard
from models.training.calibrating import calibrate
from models.training.checkpoint import Progress, identity, read_checkpoint, write_checkpoint
from models.training.fit import TrainingPopulation, TrainingProgress
from models.training.spectra import SpectraSource, TrainingSplit, batch_of, chunks
from models.variational.losses import Batch, LossWeights, loss
from models.variational.model import KIND, VariationalArchitecture, VariationalModel

USUAL_FROM = 1000
"""Training spectra, evenly taken, whose median in the rest frame is the usual spectrum."""
_LEAST_STEP = 1e-4
_LARGEST_GAP = 8
"""A gap made in training is at most this part of the spectrum."""
_PLATEAU, _SLOWER = 5, 0.1
_AT_ONCE = 64


@dataclass(frozen=True)
class VariationalSettings:
    """How to train.

    Attributes
    ----------
    epochs, patience : at most so many passes; stop after so many without a better validation loss. Every
        half of that without one, the learning rate falls to a tenth.
    batch : spectra per step; learning_rate : of Adam at first.
    mmd : lambda of InfoVAE; model_error : relative, see :mod:`models.variational.losses`.
    gaps : share of spectra that a gap is made in before they are shown, so that gaps are nothing new.
    architecture : form, score and sizes.
    seed : of everything random; threads : of torch.
    """

    epochs: int = 120
    patience: int = 10
    batch: int = 64
    learning_rate: float = 1e-3
    mmd: float = 10.0
    model_error: float = 0.03
    gaps: float = 0.5
    architecture: VariationalArchitecture = field(default_factory=VariationalArchitecture)
    seed: int = 0
    threads: int = 2

    @classmethod
    def published(cls) -> VariationalSettings:
        """As Ortiz Manrique & Boquien trained, the middle of the range from which they drew lambda."""
        architecture = VariationalArchitecture("published", "published_mse_all_100")
        return cls(batch=256, model_error=0.0, gaps=0.0, architecture=architecture)


Callback = Callable[[TrainingProgress, VariationalModel], None]


def fit_variational(
    spectra: TrainingSplit,
    population: TrainingPopulation,
    settings: VariationalSettings,
    data: Mapping[str, Any],
    callback: Callback,
    checkpoints: Path | None = None,
) -> VariationalModel:
    """Train a variational model; reproducible from the seed on one kind of machine.

    Arguments as of :func:`models.training.fit.fit`; a training that was stopped continues from its
    checkpoint.

    Raises
    ------
    ConfigurationError : too few spectra to hold some out.
    """
    counts = spectra.counts(settings.batch)
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    card = _card(population, settings, {**data, "spectra_of": counts})
    model = VariationalModel(card, counts["calibration"])
    model.usual.copy_(usual_spectrum(model, spectra.training))
    best = _fit(model, spectra, settings, callback, checkpoints)
    model.eval().requires_grad_(False)
    model.card = replace(
        card,
        metrics={
            "validation_loss": best,
            "reconstruction_chi2_per_pixel": _chi2_per_pixel(model, spectra.validation),
        },
    )
    calibrate(model, spectra.calibration)
    return model


@torch.no_grad()
def usual_spectrum(model: VariationalModel, spectra: SpectraSource) -> Tensor:
    """Median of rest-frame spectra where they are observed, (R,); between and beyond by interpolation."""
    chosen = np.unique(np.linspace(0, len(spectra) - 1, min(len(spectra), USUAL_FROM)).astype(np.int64))
    nothing = torch.zeros_like(model.usual)
    parts = []
    for index in np.array_split(chosen, max(len(chosen) // 32, 1)):
        flux, ivar, redshift = batch_of(spectra, index)
        taps = model.frame.averaging(ivar, redshift, nothing)
        known = taps.known
        rest = taps.apply(torch.where(ivar > 0, flux, 0))
        parts.append(torch.where(known > 0.5, rest / known, torch.nan))
    median = torch.cat(parts).nanmedian(dim=0).values.numpy()
    seen = np.flatnonzero(np.isfinite(median))
    if not len(seen):
        return torch.ones_like(model.usual)
    whole = np.interp(np.arange(len(median)), seen, median[seen])
    return torch.from_numpy(whole).to(model.usual.dtype)


def _card(
    population: TrainingPopulation, settings: VariationalSettings, data: Mapping[str, Any]
) -> ModelCard:
    observed = np.log10(population.grid.wavelength())
    # Nowhere finer than the observed pixels: every rest-frame pixel needs some.
    step = max(_LEAST_STEP, float(np.diff(observed).max()))
    start = float(observed[0]) - math.log10(1 + population.redshift_max) - step
    stop = float(observed[-1]) - math.log10(1 + population.redshift_min) + step
    return replace(
        population.card(),
        kind=KIND,
        rest_start=start,
        rest_step=step,
        rest_size=math.ceil((stop - start) / step) + 1,
        architecture=settings.architecture.to_dict(),
        training={
            "data": dict(data),
            "settings": {key: value for key, value in asdict(settings).items() if key != "architecture"},
        },
    )


def _fit(
    model: VariationalModel,
    spectra: TrainingSplit,
    settings: VariationalSettings,
    callback: Callback,
    checkpoints: Path | None,
) -> float:
    """Minimise the loss; the model ends with the weights of the best validation loss, which is returned."""
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    state = Progress(0, math.inf, 0, copy.deepcopy(model.state_dict()))
    name = identity(model.card)
    if checkpoints is not None:
        state = read_checkpoint(checkpoints, name, model, optimiser) or state
    while state.epoch < settings.epochs and state.waited < settings.patience:
        trained = _train_an_epoch(model, spectra.training, settings, state.epoch, optimiser)
        held_out = _validation_loss(model, spectra.validation, settings)
        learning_rate = float(optimiser.param_groups[0]["lr"])
        better = held_out < state.best
        state = Progress(
            state.epoch + 1,
            held_out if better else state.best,
            0 if better else state.waited + 1,
            copy.deepcopy(model.state_dict()) if better else state.best_state,
        )
        if state.waited and state.waited % _PLATEAU == 0:
            optimiser.param_groups[0]["lr"] *= _SLOWER
        if checkpoints is not None:
            write_checkpoint(checkpoints, name, state, model, optimiser)
        progress = TrainingProgress(
            "autoencoder", state.epoch, settings.epochs, trained, held_out, better, learning_rate
        )
        callback(progress, model)
    model.load_state_dict(state.best_state)
    return state.best


def _train_an_epoch(
    model: VariationalModel,
    training: SpectraSource,
    settings: VariationalSettings,
    epoch: int,
    optimiser: torch.optim.Optimizer,
) -> float:
    """One pass over the training set; returns the mean loss."""
    # Seeded by the epoch, so that a training that continues goes on as if it had not stopped.
    torch.manual_seed(settings.seed + 1 + epoch)
    generator = np.random.default_rng([settings.seed, epoch])
    model.train()
    order = generator.permutation(len(training))
    latents = model.architecture.latents
    total, steps = 0.0, len(training) // settings.batch
    for step in range(steps):
        index = np.sort(order[step * settings.batch : (step + 1) * settings.batch])
        flux, ivar, redshift = batch_of(training, index)
        batch = Batch(flux, ivar, redshift, ivar * _gaps(ivar.shape, settings.gaps, generator))
        noise, prior = torch.randn(2, len(flux), latents)
        value = loss(model, batch, settings_weights(settings), noise, prior)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        total += float(value.detach())
    return total / steps


def settings_weights(settings: VariationalSettings) -> LossWeights:
    """The loss's part of the settings."""
    return LossWeights(settings.mmd, settings.model_error)


def _gaps(shape: tuple[int, ...], share: float, generator: np.random.Generator) -> Tensor:
    """(B, N) of 1, with 0 on a random interval of that share of the rows."""
    rows, pixels = shape
    keep = torch.ones(rows, pixels)
    for row in np.flatnonzero(generator.random(rows) < share):
        width = int(generator.integers(1, pixels // _LARGEST_GAP))
        first = int(generator.integers(0, pixels - width))
        keep[row, first : first + width] = 0
    return keep


@torch.no_grad()
def _validation_loss(model: VariationalModel, spectra: SpectraSource, settings: VariationalSettings) -> float:
    """The loss at the posteriors' means, against one and the same sample of the prior."""
    model.eval()
    prior = torch.randn(
        200, model.architecture.latents, generator=torch.Generator().manual_seed(settings.seed)
    )
    total = 0.0
    for index in chunks(len(spectra), _AT_ONCE):
        flux, ivar, redshift = batch_of(spectra, index)
        batch = Batch(flux, ivar, redshift, ivar)
        noise = torch.zeros(len(flux), model.architecture.latents)
        total += float(loss(model, batch, settings_weights(settings), noise, prior)) * len(flux)
    return total / len(spectra)


@torch.no_grad()
def _chi2_per_pixel(model: VariationalModel, spectra: SpectraSource) -> float:
    """Median over spectra of chi2 per good pixel of the reconstruction, by the survey's own ivar."""
    values = []
    for index in chunks(len(spectra), _AT_ONCE):
        flux, ivar, redshift = batch_of(spectra, index)
        reconstruction = model.outputs(flux, ivar, redshift).reconstruction
        residual = torch.where(ivar > 0, flux - reconstruction, 0)
        values.append((ivar * residual.square()).sum(dim=1) / (ivar > 0).sum(dim=1))
    return float(torch.cat(values).median())
