"""Fitting a scoring model to spectra: autoencoder, density of its latents, what its residual usually is.

The autoencoder minimises the inverse-variance weighted residual (the fidelity of Melchior et al.
2023, AJ 166, 74). Beside it stands a consistency term (the aim of the augmentation of Liang et al. 2023,
ApJL 956 L6): a spectrum carried to another redshift, and the model's own reconstruction put there, with
or without noise and with pixels masked, must be encoded to the same latents. It keeps latents free of
redshift and noise, and makes baselines, which are such reconstructions, typical inputs.

The encoder's novelty output learns to tell whole spectra from damaged ones (``models.corruption``).
Reconstructions, and pieces of whole spectra pasted into reconstructions of other spectra, count as
whole: that is what occlusion shows the model, and a seam alone must not look odd to it.

What the reconstruction usually misses is learnt on the validation side, on which the autoencoder was not
fitted, and so is how the three parts of the score are distributed. The calibration side only calibrates.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.calibration import Calibration, quantiles
from models.checkpoint import Progress, identity, read_checkpoint, write_checkpoint
from models.corruption import LEAST_SIGNIFICANCE, Target, damage
from models.encoder import EncoderSettings
from models.errors import ConfigurationError
from models.grid import WavelengthGrid
from models.joint_score import depth_of
from models.model_card import ModelCard
from models.redshift_augmentation import carry, roughen
from models.residual_scan import CellMeans, cell_means, fit_misfit
from models.scoring_model import ScoringModel
from models.signal_to_noise import signal_to_noise
from models.usual_misfit import fit_modes, on_rest_grid

SNR_TAILS = (0.002, 0.998)
"""Quantiles of the calibration spectra's signal-to-noise ratios that become the model's range."""


@dataclass(frozen=True)
class TrainingSpectra:
    """n normalised spectra: flux and ivar (n, N) float32, ivar 0 where masked; redshift (n,)."""

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    redshift: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.flux)

    def take(self, index: NDArray[Any]) -> TrainingSpectra:
        """The spectra at ``index``."""
        return TrainingSpectra(self.flux[index], self.ivar[index], self.redshift[index])


class SpectraSource(Protocol):
    """n normalised spectra, in memory or not."""

    def __len__(self) -> int:
        """Number of spectra."""
        ...

    def take(self, index: NDArray[Any]) -> TrainingSpectra:
        """The spectra at ``index``, (k,) ascending."""
        ...


@dataclass(frozen=True)
class TrainingSplit:
    """Spectra to learn from, to stop by, and to calibrate on; no object is on two sides."""

    training: SpectraSource
    validation: SpectraSource
    calibration: SpectraSource

    def __len__(self) -> int:
        """Number of spectra on all sides."""
        return len(self.training) + len(self.validation) + len(self.calibration)


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    epochs : at most so many passes over the training set.
    patience : stop after so many epochs without a better validation loss.
    batch : spectra per step.
    learning_rate : peak of a one-cycle schedule (Adam).
    consistency : weight of the consistency term; it fades in over the middle of the training,
        because latents that ignore their input are consistent too.
    novelty : weight of telling whole from damaged spectra.
    model_error : relative error of flux added to the noise, so that bright spectra do not rule.
    flow_epochs, flow_transforms, flow_hidden : the density of latents.
    decoder_hidden : widths of the decoder.
    scan : (width, step) in pixels of the cells over which the residual is averaged.
    modes : directions of the usual misfit; mode_spectra : how many spectra they are learnt from, at most;
        mode_rounds : of expectation maximisation.
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
    scan: tuple[tuple[int, int], ...] = ((8, 8), (32, 16), (128, 64), (512, 256))
    modes: int = 48
    mode_spectra: int = 3000
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
    """What the spectra are: entries of the model card that the arrays do not tell."""

    name: str
    description: str
    grid: WavelengthGrid
    classes: tuple[str, ...]
    redshift_min: float
    redshift_max: float
    normalisation_min: float
    normalisation_max: float
    min_good_fraction: float


Callback = Callable[[TrainingProgress, ScoringModel], None]

_Batch = tuple[Tensor, Tensor, Tensor]
"""Flux and ivar (batch, N) and redshift (batch,)."""


def fit(
    spectra: TrainingSplit,
    population: TrainingPopulation,
    settings: TrainingSettings,
    data: Mapping[str, Any],
    callback: Callback,
    checkpoints: Path | None = None,
) -> ScoringModel:
    """Train a scoring model; reproducible from the seed on one kind of machine.

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
    counts = {
        "training": len(spectra.training),
        "validation": len(spectra.validation),
        "calibration": len(spectra.calibration),
    }
    if counts["training"] < settings.batch or min(counts["validation"], counts["calibration"]) < 8:
        raise ConfigurationError(
            "Too few spectra to train on.",
            got=", ".join(f"{count} for {side}" for side, count in counts.items()),
            allowed=f"at least a batch of {settings.batch} for training, 8 each for the others",
            remedy="Give more spectra, or a smaller batch.",
            kind="too-few-spectra",
        )
    if settings.encoder.novelty != 1:
        raise ConfigurationError(
            "The encoder has another number of novelty outputs than the score has use for.",
            where="training settings, encoder.novelty",
            got=settings.encoder.novelty,
            allowed=1,
            remedy="Leave encoder.novelty at its default.",
            kind="novelty-outputs",
        )
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    card = _card(population, settings, {**data, "spectra_of": counts})
    model = ScoringModel(card, counts["calibration"])
    fidelity = _fit_autoencoder(model, spectra.training, spectra.validation, settings, callback, checkpoints)
    torch.manual_seed(settings.seed)
    nll = _fit_density(model, spectra.training, spectra.validation, settings, callback)

    model.eval()
    _fit_usual_misfit(model, spectra.training, settings)
    _fit_parts(model, spectra.validation)
    metrics = {
        "validation_fidelity": fidelity,
        "validation_score": nll,
        "reconstruction_chi2_per_pixel": _chi2_per_pixel(model, spectra.validation),
    }
    model.card = replace(card, metrics=metrics)
    calibrate(model, spectra.calibration)
    return model.requires_grad_(False)


@torch.no_grad()
def calibrate(model: ScoringModel, spectra: SpectraSource) -> None:
    """Make ``spectra`` the usual ones that scores are compared with, and from which baselines are drawn.

    The card's range of S/N and its quantiles of scores become theirs.

    Raises
    ------
    ConfigurationError : fewer than four have a finite score.
    """
    latents, scores, snr, redshift = [], [], [], []
    for index in _chunks(len(spectra)):
        flux, ivar, redshifts = _tensors(spectra, index)
        outputs = model.outputs(flux, ivar, redshifts)
        latents.append(outputs.latents)
        scores.append(outputs.score.double())
        snr.append(signal_to_noise(flux, ivar))
        redshift.append(redshifts)
    of_latents, score, ratio, at = (torch.cat(parts) for parts in (latents, scores, snr, redshift))
    model.calibration = Calibration.fit(score.numpy(), ratio.numpy(), at.numpy())
    model.calibration_latents = of_latents
    model.card = replace(
        model.card,
        snr_min=float(np.quantile(ratio.numpy(), SNR_TAILS[0])),
        snr_max=float(np.quantile(ratio.numpy(), SNR_TAILS[1])),
        calibration_quantiles=quantiles(score.numpy()),
    )


def _card(population: TrainingPopulation, settings: TrainingSettings, data: Mapping[str, Any]) -> ModelCard:
    grid = population.grid
    wavelength = grid.wavelength()
    start = math.log10(wavelength[0] / (1.0 + population.redshift_max)) - 1e-3
    stop = math.log10(wavelength[-1] / (1.0 + population.redshift_min)) + 1e-3
    step = 1e-4
    return ModelCard(
        name=population.name,
        description=population.description,
        kind="local",
        grid=grid,
        classes=population.classes,
        redshift_min=population.redshift_min,
        redshift_max=population.redshift_max,
        snr_min=0.0,
        snr_max=math.inf,
        normalisation_min=population.normalisation_min,
        normalisation_max=population.normalisation_max,
        min_good_fraction=population.min_good_fraction,
        rest_start=start,
        rest_step=step,
        rest_size=math.ceil((stop - start) / step) + 1,
        architecture=settings.architecture(),
        training={
            "data": dict(data),
            "settings": {k: v for k, v in asdict(settings).items() if k != "encoder"},
        },
        metrics={},
        calibration_quantiles=(),
    )


def _tensors(spectra: SpectraSource, index: NDArray[Any]) -> _Batch:
    some = spectra.take(index)
    return torch.from_numpy(some.flux), torch.from_numpy(some.ivar), torch.from_numpy(some.redshift)


def _weight(ivar: Tensor, flux: Tensor, model_error: float) -> Tensor:
    """Inverse variance with the model error added; 0 stays 0."""
    return ivar / (1.0 + ivar * (model_error * flux.abs().clamp_min(0.3)) ** 2)


def _fidelity(model: ScoringModel, batch: _Batch, latents: Tensor, model_error: float) -> Tensor:
    flux, ivar, redshift = batch
    residual = flux - model.decode(latents, redshift)
    chi2 = (_weight(ivar, flux, model_error) * residual.square()).sum(dim=1)
    return 0.5 * (chi2 / (ivar > 0).sum(dim=1)).mean()


def _consistency(model: ScoringModel, latents: Tensor, batch: _Batch) -> tuple[Tensor, Tensor]:
    """Distance, in units of the latents' scatter, between latents and those at another redshift; and the
    novelty of reconstructions there, (B', 1).

    Even rows are the spectrum itself, carried there; odd ones its reconstruction, half of them with noise,
    with another spectrum's ivar.
    """
    card, decoded = model.card, model.encoder.settings.latents
    flux, ivar, redshift = batch
    target = latents[:, :decoded].detach()
    there = card.redshift_min + (card.redshift_max - card.redshift_min) * torch.rand(len(target)).double()
    log_wavelength = model.decoder.log10_wavelength * math.log(10.0)
    carried = roughen(*carry(flux[::2], ivar[::2], redshift[::2], there[::2], log_wavelength))
    with torch.no_grad():
        clean = model.decode(target[1::2], there[1::2])
        other = torch.roll(ivar, 1, dims=0)[1::2]
        noisy = torch.rand(len(clean), 1) < 0.5
        clean = clean + torch.randn_like(clean) * other.clamp_min(1e-6).rsqrt() * noisy
    again = model.encode(
        torch.cat((carried[0], clean)),
        torch.cat((carried[1], other)),
        torch.cat((there[::2], there[1::2])),
    )
    wanted = torch.cat((target[::2], target[1::2]))
    missed = (again[:, :decoded] - wanted) / target.std(dim=0).clamp_min(1e-3)
    # A carried spectrum may have lost the lines that told what it is: far misses count linearly.
    distance = torch.nn.functional.huber_loss(missed, torch.zeros_like(missed))
    return distance, again[len(carried[0]) :, decoded:]


def _damaged(
    model: ScoringModel, batch: _Batch, latents: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Flux (B, N) of damaged spectra and of composites, labels and label weights (B, 1).

    Even rows are damaged. In every second pair of rows a window of the row, damaged or not, is
    pasted into the reconstruction of another spectrum at the same redshift.
    """
    flux, ivar, redshift = batch
    with torch.no_grad():
        own = model.decode(latents, redshift).numpy()
        other = model.decode(torch.roll(latents, 1, dims=0), redshift).numpy()
    count, pixels = flux.shape
    result = flux.numpy().copy()
    labels = np.zeros((count, 1), dtype=np.float32)
    weights = np.ones_like(labels)
    for row in range(count):
        window = slice(0, pixels)
        if row % 4 >= 2:
            width = int(np.exp(rng.uniform(0.0, np.log(pixels))))
            first = int(rng.integers(0, pixels - width + 1))
            window = slice(first, first + width)
        piece = result[row, window].copy()
        if row % 2 == 0:
            ivar_row = ivar[row].numpy()
            done = damage(Target(result[row], ivar_row, own[row]), rng)
            seen = math.sqrt(float((done.change[window].astype(np.float64) ** 2 * ivar_row[window]).sum()))
            # Damage that lies mostly outside the window, or that nobody could see, has no label.
            clear = seen >= LEAST_SIGNIFICANCE and seen >= 0.6 * done.significance
            labels[row] = float(clear)
            weights[row] = float(clear)
            piece = piece + done.change[window]
        if row % 4 >= 2:
            result[row] = other[row]
        result[row, window] = piece
    return torch.from_numpy(result), torch.from_numpy(labels), torch.from_numpy(weights)


def _novelty(
    model: ScoringModel, batch: _Batch, latents: Tensor, whole: list[Tensor], rng: np.random.Generator
) -> Tensor:
    """Cross entropy of the novelty output; ``whole`` holds those of spectra known to be whole."""
    _, ivar, redshift = batch
    damaged, labels, weights = _damaged(model, batch, latents.detach(), rng)
    outputs = model.encode(damaged, ivar, redshift)[:, model.encoder.settings.latents :]
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    loss = entropy(outputs, labels, weight=weights)
    for outputs in whole:
        loss = loss + entropy(outputs, torch.zeros_like(outputs))
    return loss


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
        fidelity = _train_an_epoch(
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
            TrainingProgress("autoencoder", state.epoch, settings.epochs, fidelity, held_out, better, rate),
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
    """One pass over the training set; returns the mean fidelity."""
    # Seeded by the epoch, so that a training that continues goes on as if it had not stopped.
    torch.manual_seed(settings.seed + 1 + epoch)
    generator = np.random.default_rng([settings.seed, epoch])
    model.train()
    order = generator.permutation(len(training))
    total, steps = 0.0, len(training) // settings.batch
    for step in range(steps):
        batch = _tensors(training, np.sort(order[step * settings.batch : (step + 1) * settings.batch]))
        batch = _mask_a_stretch(batch, generator)
        latents = model.encode(*batch)
        fidelity = _fidelity(model, batch, latents, settings.model_error)
        whole = [latents[:, settings.encoder.latents :]]
        loss = fidelity
        if fade > 0:
            half = batch[0][::2], batch[1][::2], batch[2][::2]
            consistency, novelty = _consistency(model, latents[::2], half)
            loss = loss + fade * settings.consistency * consistency
            whole.append(novelty)
        loss = loss + settings.novelty * _novelty(model, batch, latents, whole, generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        total += float(fidelity.detach())
    return total / steps


def _mask_a_stretch(batch: _Batch, generator: np.random.Generator) -> _Batch:
    """Mask a random stretch of the batch's second half, so that gaps are nothing new to the model."""
    flux, ivar, redshift = batch
    pixels = flux.shape[1]
    keep = torch.ones_like(ivar)
    for row in range(len(flux) // 2, len(flux)):
        width = int(generator.integers(1, pixels // 8))
        start = int(generator.integers(0, pixels - width))
        keep[row, start : start + width] = 0
    return flux, ivar * keep, redshift


def _chunks(count: int, size: int = 256) -> list[NDArray[Any]]:
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]


def _encode(model: ScoringModel, spectra: SpectraSource) -> tuple[Tensor, Tensor, Tensor]:
    """Latents (n, S), depths and redshifts (n,)."""
    parts = []
    for index in _chunks(len(spectra)):
        flux, ivar, redshift = _tensors(spectra, index)
        latents = model.encode(flux, ivar, redshift)[:, : model.encoder.settings.latents]
        parts.append((latents, depth_of(ivar), redshift))
    latents, depth, redshift = (torch.cat(part) for part in zip(*parts, strict=True))
    return latents, depth, redshift


@torch.no_grad()
def _validation_fidelity(model: ScoringModel, spectra: SpectraSource, settings: TrainingSettings) -> float:
    model.eval()
    total = 0.0
    for index in _chunks(len(spectra)):
        batch = _tensors(spectra, index)
        latents = model.encode(*batch)
        total += float(_fidelity(model, batch, latents, settings.model_error)) * len(index)
    return total / len(spectra)


@torch.no_grad()
def _chi2_per_pixel(model: ScoringModel, spectra: SpectraSource) -> float:
    """Median over spectra of chi2 per good pixel of the reconstruction, by the survey's own ivar."""
    values = []
    for index in _chunks(len(spectra)):
        flux, ivar, redshift = _tensors(spectra, index)
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


@torch.no_grad()
def _fit_usual_misfit(model: ScoringModel, spectra: SpectraSource, settings: TrainingSettings) -> None:
    """Modes of the residuals of an even sample of the training spectra."""
    count = min(settings.mode_spectra, len(spectra))
    chosen = np.unique(np.linspace(0, len(spectra) - 1, count).astype(np.int64))
    residuals, weights = [], []
    for index in np.array_split(chosen, max(1, len(chosen) // 256)):
        flux, ivar, redshift = _tensors(spectra, index)
        residual = flux - model.decode(model.encode(flux, ivar, redshift), redshift)
        of_rest = on_rest_grid(residual, ivar, model.decoder.place(redshift), model.card.rest_size)
        residuals.append(of_rest[0])
        weights.append(of_rest[1])
    modes = fit_modes(
        torch.cat(residuals), torch.cat(weights), settings.modes, settings.mode_rounds, settings.seed
    )
    model.usual_misfit.modes.copy_(modes)


@torch.no_grad()
def _fit_parts(model: ScoringModel, spectra: SpectraSource) -> None:
    """Learn the rest of the misfit, then how the parts of the score are distributed."""
    found, kept = [], []
    for index in _chunks(len(spectra), 64):
        flux, ivar, redshift = _tensors(spectra, index)
        latents = model.encode(flux, ivar, redshift)
        reconstruction = model.decode(latents, redshift)
        found.append(cell_means(model.scan, flux - reconstruction, ivar, redshift, model.modes(redshift)))
        kept.append((latents, reconstruction, flux, ivar, redshift))
    together = [torch.cat([getattr(each, name) for each in found]) for name in CellMeans.__annotations__]
    fit_misfit(model.scan, CellMeans(*together))
    raw = torch.cat([model.raw_parts(*each) for each in kept])
    depth = torch.cat([depth_of(each[3]) for each in kept])
    model.joint.fit(raw, depth, torch.cat([each[4] for each in kept]))
