"""Losses of the autoencoder: fidelity, consistency of latents under redshift, and novelty."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from models.scoring.scoring_model import ScoringModel
from models.training.corruption import LEAST_SIGNIFICANCE, Target, damage
from models.training.redshift_augmentation import carry, roughen
from models.training.spectra import Batch


def _weight(ivar: Tensor, flux: Tensor, model_error: float) -> Tensor:
    """Inverse variance with the model error added; 0 stays 0."""
    return ivar / (1.0 + ivar * (model_error * flux.abs().clamp_min(0.3)) ** 2)


def fidelity(model: ScoringModel, batch: Batch, latents: Tensor, model_error: float) -> Tensor:
    """Half the mean over good pixels of the squared residual in units of noise and model error, ()."""
    flux, ivar, redshift = batch
    residual = flux - model.decode(latents, redshift)
    chi2 = (_weight(ivar, flux, model_error) * residual.square()).sum(dim=1)
    return 0.5 * (chi2 / (ivar > 0).sum(dim=1)).mean()


def consistency(model: ScoringModel, latents: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
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
    # A carried spectrum may have lost its most telling lines: far misses count linearly.
    distance = torch.nn.functional.huber_loss(missed, torch.zeros_like(missed))
    return distance, again[len(carried[0]) :, decoded:]


def _damaged(
    model: ScoringModel, batch: Batch, latents: Tensor, rng: np.random.Generator
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


def novelty(
    model: ScoringModel, batch: Batch, latents: Tensor, whole: list[Tensor], rng: np.random.Generator
) -> Tensor:
    """Cross entropy of the novelty output; ``whole`` are the outputs of spectra known to be intact."""
    _, ivar, redshift = batch
    damaged, labels, weights = _damaged(model, batch, latents.detach(), rng)
    outputs = model.encode(damaged, ivar, redshift)[:, model.encoder.settings.latents :]
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    loss = entropy(outputs, labels, weight=weights)
    for outputs in whole:
        loss = loss + entropy(outputs, torch.zeros_like(outputs))
    return loss


def mask_an_interval(batch: Batch, generator: np.random.Generator) -> Batch:
    """Mask a random interval in the batch's second half, so that gaps are nothing new to the model."""
    flux, ivar, redshift = batch
    pixels = flux.shape[1]
    keep = torch.ones_like(ivar)
    for row in range(len(flux) // 2, len(flux)):
        width = int(generator.integers(1, pixels // 8))
        start = int(generator.integers(0, pixels - width))
        keep[row, start : start + width] = 0
    return flux, ivar * keep, redshift
