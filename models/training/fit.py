"""Training of the scoring model: autoencoder, density of its latents, residual factors, calibration.

The autoencoder minimises the inverse-variance weighted residual (the fidelity of Melchior et al.
2023, AJ 166, 74) and a consistency term (the aim of the augmentation of Liang et al. 2023, ApJL 956 L6):
a spectrum carried to another redshift, and the model's own reconstruction put there, with or without noise
and with pixels masked, must have the same latents. The term keeps latents free of redshift and noise, and
makes baselines, which are such reconstructions, typical inputs.

The encoder's novelty output learns to distinguish intact spectra from damaged ones
(``models.training.corruption``). Reconstructions, and pieces of intact spectra pasted into reconstructions of
other spectra, count as intact: occlusion shows them to the model, and a seam alone must not look odd to it.

Then ``models.training.misfit`` fits the residual factors on the training split, and on the validation split,
on which nothing was fitted, the rest of the misfit and the distributions of the score's parts. The
calibration split only calibrates.
"""

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

from models.errors import ConfigurationError, ErrorKind
from models.grid import WavelengthGrid
from models.model_card import ModelCard
from models.pixel_errors import depth_of
from models.scoring.encoder import EncoderSettings
from models.scoring.scoring_model import ScoringModel
from models.training.calibrating import calibrate
from models.training.checkpoint import Progress, identity, read_checkpoint, write_checkpoint
from models.training.losses import consistency, fidelity, mask_an_interval, novelty
from models.training.misfit import ModeSettings, fit_parts, fit_residual_factors
from models.training.naming import fit_naming
from models.training.spectra import SpectraSource, TrainingSplit, batch_of, chunks


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    epochs : passes over the training split, at most.
    patience : stop after so many epochs without a better validation loss.
    batch : spectra per step.
    learning_rate : peak of a one-cycle schedule (Adam).
    consistency : weight of the consistency term; it fades in over the middle of the training,
        because latents that ignore their input are consistent too.
    novelty : weight of distinguishing intact from damaged spectra.
    model_error : relative error of flux added to the noise, so that bright spectra do not rule.
    flow_epochs, flow_transforms, flow_hidden : the density of latents.
    decoder_hidden : widths of the decoder.
    scan : (width, step) in pixels of the cells over which the residual is averaged.
    modes : number of residual factors; mode_spectra : to fit them to, at most; mode_rounds : of expectation
        maximisation.
    encoder : sizes of the encoder.
    seed : of everything random; threads : of torch.
    """

    epochs: int = 40
    patience: int = 12
    batch: int = 32
    learning_rate: float = 3e-3
    consistency: float = 0.5
    novelty: float = 1.0
    model_error: float = 0.03
    flow_epochs: int = 80
    flow_transforms: int = 3
    flow_hidden: tuple[int, ...] = (32, 32)
    decoder_hidden: tuple[int, ...] = (64, 128)
    scan: tuple[tuple[int, int], ...] = ((12, 12), (48, 24), (192, 96))
    modes: int = 64
    mode_spectra: int = 6000
    mode_rounds: int = 8
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    seed: int = 0
    threads: int = 2

    def architecture(self) -> dict[str, Any]:
        """The card's entry that rebuilds the modules."""
        flow = {"transforms": self.flow_transforms, "hidden": list(self.flow_hidden)}
        return {
            **self.encoder.to_dict(),
            "decoder_hidden": list(self.decoder_hidden),
            "flow": flow,
            "scan": [list(cells) for cells in self.scan],
            "modes": self.modes,
        }


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """State after an epoch: ``stage`` is "autoencoder" or "density"; losses as in the log.

    ``learning_rate`` is that at the end of the epoch.
    """

    stage: str
    epoch: int
    epochs: int
    training_loss: float
    validation_loss: float
    best: bool
    learning_rate: float


@dataclass(frozen=True, slots=True)
class TrainingPopulation:
    """What the spectra are: entries of the model card that the arrays do not hold."""

    name: str
    description: str
    grid: WavelengthGrid
    classes: tuple[str, ...]
    redshift_min: float
    redshift_max: float
    normalisation_min: float
    normalisation_max: float
    min_good_fraction: float
    arm_edges: tuple[float, ...] = ()
    """Observed wavelengths, Angstrom, at which an arm of the instrument ends and the next begins."""

    def card(self) -> ModelCard:
        """A card that says this and nothing of a model: enough to normalise by, and to be completed."""
        return ModelCard(
            name=self.name,
            description=self.description,
            kind="",
            grid=self.grid,
            classes=self.classes,
            redshift_min=self.redshift_min,
            redshift_max=self.redshift_max,
            snr_min=0.0,
            snr_max=math.inf,
            normalisation_min=self.normalisation_min,
            normalisation_max=self.normalisation_max,
            min_good_fraction=self.min_good_fraction,
            rest_start=0.0,
            rest_step=0.0,
            rest_size=0,
            architecture={},
            training={},
            metrics={},
            calibration_quantiles=(),
        )


Callback = Callable[[TrainingProgress, ScoringModel], None]


def fit(
    spectra: TrainingSplit,
    population: TrainingPopulation,
    settings: TrainingSettings,
    data: Mapping[str, Any],
    callback: Callback,
    checkpoints: Path | None = None,
) -> ScoringModel:
    """Train a scoring model: its network, see :func:`fit_network`, then its score.

    Raises
    ------
    ConfigurationError : too few spectra to hold some out.
    """
    model = fit_network(spectra, population, settings, data, callback, checkpoints)
    fit_score(model, spectra, settings.seed)
    return model


def fit_network(
    spectra: TrainingSplit,
    population: TrainingPopulation,
    settings: TrainingSettings,
    data: Mapping[str, Any],
    callback: Callback,
    checkpoints: Path | None = None,
) -> ScoringModel:
    """Train all of a scoring model but its score; reproducible from the seed on one kind of machine.

    With a directory for ``checkpoints``, the autoencoder's state is written there after every epoch,
    and the same training started again continues from it, to the same model.

    Parameters
    ----------
    spectra : normalised as the model will see them.
    population : what they are.
    settings : how to train.
    data : where they came from, for the card.
    callback : called after every epoch, with the model as it stands.
    checkpoints : where checkpoints go and are looked for.

    Raises
    ------
    ConfigurationError : too few spectra to hold some out.
    """
    counts = spectra.counts(settings.batch)
    if settings.encoder.novelty != 1:
        raise ConfigurationError(
            "The encoder has a number of novelty outputs that the score cannot use.",
            where="training settings, encoder.novelty",
            got=settings.encoder.novelty,
            allowed=1,
            remedy="Leave encoder.novelty at its default.",
            kind=ErrorKind.NOVELTY_OUTPUTS,
        )
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    card = _card(population, settings, {**data, "spectra_of": counts})
    model = ScoringModel(card, counts["calibration"])
    held_out = _fit_autoencoder(model, spectra.training, spectra.validation, settings, callback, checkpoints)
    torch.manual_seed(settings.seed)
    nll = _fit_density(model, spectra.training, spectra.validation, settings, callback)

    model.eval()
    modes = ModeSettings(settings.modes, settings.mode_spectra, settings.mode_rounds, settings.seed)
    fit_residual_factors(model, spectra.training, modes)
    metrics = {
        "validation_fidelity": held_out,
        "validation_latent_nll": nll,
        "reconstruction_chi2_per_pixel": _chi2_per_pixel(model, spectra.validation),
    }
    model.card = replace(card, metrics=metrics)
    return model.requires_grad_(False)


def fit_score(model: ScoringModel, spectra: TrainingSplit, seed: int) -> None:
    """Fit what makes a score of an autoencoder: misfit, tails of the parts, calibration, names of causes.

    Its largest weights become halves before, as they are kept in files.
    """
    for weight in (model.decoder.output.weight, model.residual_factors.modes):
        weight.data.copy_(weight.data.half())
    fit_parts(model, spectra.validation)
    calibrate(model, spectra.calibration)
    fit_naming(model, spectra.validation, seed)


def _card(population: TrainingPopulation, settings: TrainingSettings, data: Mapping[str, Any]) -> ModelCard:
    wavelength = population.grid.wavelength()
    start = math.log10(wavelength[0] / (1.0 + population.redshift_max)) - 1e-3
    stop = math.log10(wavelength[-1] / (1.0 + population.redshift_min)) + 1e-3
    step = 1e-4
    return replace(
        population.card(),
        kind="local",
        rest_start=start,
        rest_step=step,
        rest_size=math.ceil((stop - start) / step) + 1,
        architecture={**settings.architecture(), "arm_edges": list(population.arm_edges)},
        training={
            "data": dict(data),
            "settings": {k: v for k, v in asdict(settings).items() if k != "encoder"},
        },
    )


def _fit_autoencoder(
    model: ScoringModel,
    training: SpectraSource,
    validation: SpectraSource,
    settings: TrainingSettings,
    callback: Callback,
    checkpoints: Path | None,
) -> float:
    parameters = [*model.encoder.parameters(), *model.decoder.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=settings.learning_rate)
    steps = len(training) // settings.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=settings.learning_rate, total_steps=max(1, steps * settings.epochs), pct_start=0.15
    )
    state = Progress(0, math.inf, 0, copy.deepcopy(model.state_dict()))
    name = identity(model.card)
    if checkpoints is not None:
        state = read_checkpoint(checkpoints, name, model, optimiser) or state
        schedule.last_epoch = steps * state.epoch
    while state.epoch < settings.epochs and state.waited < settings.patience:
        fade = min(1.0, max(0.0, 3.0 * (state.epoch + 1) / settings.epochs - 1.0))
        trained = _train_an_epoch(
            model, training, settings, fade, state.epoch, parameters, optimiser, schedule
        )
        held_out = _validation_fidelity(model, validation, settings)
        # Only models that the whole loss has shaped compete.
        better = held_out < state.best and fade == 1.0
        state = Progress(
            state.epoch + 1,
            held_out if better else state.best,
            0 if better or fade < 1.0 else state.waited + 1,
            copy.deepcopy(model.state_dict()) if better else state.best_state,
        )
        if checkpoints is not None:
            write_checkpoint(checkpoints, name, state, model, optimiser)
        rate = float(optimiser.param_groups[0]["lr"])
        callback(
            TrainingProgress("autoencoder", state.epoch, settings.epochs, trained, held_out, better, rate),
            model,
        )
    model.load_state_dict(state.best_state)
    return state.best


def _train_an_epoch(
    model: ScoringModel,
    training: SpectraSource,
    settings: TrainingSettings,
    fade: float,
    epoch: int,
    parameters: list[torch.nn.Parameter],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.OneCycleLR,
) -> float:
    """One pass over the training split; returns the mean fidelity."""
    # Seeded by the epoch, so that a training that continues goes on as if it had not stopped.
    torch.manual_seed(settings.seed + 1 + epoch)
    generator = np.random.default_rng([settings.seed, epoch])
    model.train()
    order = generator.permutation(len(training))
    total, steps = 0.0, len(training) // settings.batch
    for step in range(steps):
        batch = batch_of(training, np.sort(order[step * settings.batch : (step + 1) * settings.batch]))
        batch = mask_an_interval(batch, generator)
        latents = model.encode(*batch)
        misfit = fidelity(model, batch, latents, settings.model_error)
        whole = [latents[:, settings.encoder.latents :]]
        loss = misfit
        if fade > 0:
            half = batch[0][::2], batch[1][::2], batch[2][::2]
            moved, of_moved = consistency(model, latents[::2], half)
            loss = loss + fade * settings.consistency * moved
            whole.append(of_moved)
        loss = loss + settings.novelty * novelty(model, batch, latents, whole, generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        total += float(misfit.detach())
    return total / steps


def _encode(model: ScoringModel, spectra: SpectraSource) -> tuple[Tensor, Tensor, Tensor]:
    """Latents (n, S), depths and redshifts (n,)."""
    parts = []
    for index in chunks(len(spectra)):
        flux, ivar, redshift = batch_of(spectra, index)
        latents = model.encode(flux, ivar, redshift)[:, : model.encoder.settings.latents]
        parts.append((latents, depth_of(ivar), redshift))
    latents, depth, redshift = (torch.cat(part) for part in zip(*parts, strict=True))
    return latents, depth, redshift


@torch.no_grad()
def _validation_fidelity(model: ScoringModel, spectra: SpectraSource, settings: TrainingSettings) -> float:
    model.eval()
    total = 0.0
    for index in chunks(len(spectra)):
        batch = batch_of(spectra, index)
        latents = model.encode(*batch)
        total += float(fidelity(model, batch, latents, settings.model_error)) * len(index)
    return total / len(spectra)


@torch.no_grad()
def _chi2_per_pixel(model: ScoringModel, spectra: SpectraSource) -> float:
    """Median over spectra of chi2 per good pixel of the reconstruction, by the survey's own ivar."""
    values = []
    for index in chunks(len(spectra)):
        flux, ivar, redshift = batch_of(spectra, index)
        model_flux = model.decode(model.encode(flux, ivar, redshift), redshift)
        values.append((ivar * (flux - model_flux).square()).sum(dim=1) / (ivar > 0).sum(dim=1))
    return float(torch.cat(values).median())


def _fit_density(
    model: ScoringModel,
    training: SpectraSource,
    validation: SpectraSource,
    settings: TrainingSettings,
    callback: Callback,
) -> float:
    """Maximum likelihood of the latents given depth and redshift, early stop on the validation set."""
    density = model.density
    with torch.no_grad():
        latents, depth, redshift = _encode(model, training)
        density.standardise(latents, depth, redshift)
        context = density.context(depth, redshift)
        held_out, *of_held_out = _encode(model, validation)
        held_out_context = density.context(*of_held_out)
    optimiser = torch.optim.AdamW(density.parameters(), lr=1e-3, weight_decay=1e-4)
    best, best_state, waited = math.inf, copy.deepcopy(density.state_dict()), 0
    for epoch in range(settings.flow_epochs):
        total, batches = 0.0, torch.split(torch.randperm(len(latents)), 256)
        for index in batches:
            loss = -density(latents[index], context[index]).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(density.parameters(), 1.0)
            optimiser.step()
            total += float(loss.detach())
        with torch.no_grad():
            value = float(-density(held_out, held_out_context).mean())
        better = value < best
        waited = 0 if better else waited + 1
        if better:
            best, best_state = value, copy.deepcopy(density.state_dict())
        rate, loss_mean = float(optimiser.param_groups[0]["lr"]), total / len(batches)
        callback(
            TrainingProgress("density", epoch + 1, settings.flow_epochs, loss_mean, value, better, rate),
            model,
        )
        if waited >= settings.patience:
            break
    density.load_state_dict(best_state)
    return best
