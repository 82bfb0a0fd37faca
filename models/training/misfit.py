"""Misfit of a trained autoencoder: residual factors, the rest, and the score's parts in usual spectra."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.pixel_errors import depth_of
from models.scoring.residual_factors import fit_modes, on_rest_grid
from models.scoring.residual_scan import CellMeans, cell_means, fit_misfit
from models.scoring.scoring_model import ScoringModel
from models.training.spectra import SpectraSource, batch_of, chunks, in_threads

_AT_ONCE = 64


@dataclass(frozen=True)
class ModeSettings:
    """How to fit the residual factors.

    Attributes
    ----------
    count : number of modes.
    spectra : to fit them to, at most.
    rounds : of expectation maximisation.
    seed : of where it begins.
    freedom : degrees of the law of strengths, see :func:`models.scoring.residual_factors.fit_modes`.
    """

    count: int
    spectra: int
    rounds: int
    seed: int
    freedom: float = math.inf


@torch.no_grad()
def fit_residual_factors(model: ScoringModel, spectra: SpectraSource, settings: ModeSettings) -> None:
    """Fit the modes to the residuals of an even sample of the training spectra."""
    count = min(settings.spectra, len(spectra))
    chosen = np.unique(np.linspace(0, len(spectra) - 1, count).astype(np.int64))
    residuals, weights = [], []
    for index in np.array_split(chosen, max(1, len(chosen) // 256)):
        flux, ivar, redshift = batch_of(spectra, index)
        residual = flux - model.decode(model.encode(flux, ivar, redshift), redshift)
        of_rest = on_rest_grid(residual, ivar, model.decoder.place(redshift), model.card.rest_size)
        residuals.append(of_rest[0])
        weights.append(of_rest[1])
    modes = fit_modes(
        torch.cat(residuals),
        torch.cat(weights),
        settings.count,
        settings.rounds,
        settings.seed,
        settings.freedom,
    )
    model.residual_factors.modes.copy_(modes)


@torch.no_grad()
def fit_parts(model: ScoringModel, spectra: SpectraSource) -> None:
    """Fit the rest of the misfit, then the distributions of the score's parts."""
    fit_rest(model, spectra)
    found = raw_parts(model, spectra)
    model.joint.fit(found.raw, found.depth, found.redshift)


@torch.no_grad()
def fit_rest(model: ScoringModel, spectra: SpectraSource, threads: int = 1) -> None:
    """Fit the rest of the misfit, what the modes leave of it."""

    def of(index: NDArray[Any]) -> CellMeans:
        flux, ivar, redshift = batch_of(spectra, index)
        reconstruction = model.decode(model.encode(flux, ivar, redshift), redshift)
        return cell_means(model.scan, flux - reconstruction, ivar, redshift, model.modes(redshift))

    found = in_threads(of, chunks(len(spectra), _AT_ONCE), threads)
    together = [torch.cat([getattr(each, name) for each in found]) for name in CellMeans.__annotations__]
    fit_misfit(model.scan, CellMeans(*together))


@dataclass(frozen=True, eq=False)
class RawParts:
    """Raw parts of the score of n spectra, (n, P), their depths and redshifts, (n,)."""

    raw: Tensor
    depth: Tensor
    redshift: Tensor


@torch.no_grad()
def raw_parts(model: ScoringModel, spectra: SpectraSource, threads: int = 1) -> RawParts:
    """What the distributions of the score's parts are fitted to."""

    def of(index: NDArray[Any]) -> tuple[Tensor, Tensor, Tensor]:
        flux, ivar, redshift = batch_of(spectra, index)
        latents, depth = model.encode(flux, ivar, redshift), depth_of(ivar)
        reconstruction = model.decode(latents, redshift)
        return model.raw_parts(latents, reconstruction, flux, ivar, redshift, depth), depth, redshift

    found = in_threads(of, chunks(len(spectra), _AT_ONCE), threads)
    return RawParts(*(torch.cat(part) for part in zip(*found, strict=True)))
