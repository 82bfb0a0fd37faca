"""Misfit of a trained autoencoder: residual factors, the rest, and the score's parts in usual spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from models.pixel_errors import depth_of
from models.scoring.residual_factors import fit_modes, on_rest_grid
from models.scoring.residual_scan import CellMeans, cell_means, fit_misfit
from models.scoring.scoring_model import ScoringModel
from models.training.spectra import SpectraSource, batch_of, chunks


@dataclass(frozen=True)
class ModeSettings:
    """How to fit the residual factors.

    Attributes
    ----------
    count : number of modes.
    spectra : to fit them to, at most.
    rounds : of expectation maximisation.
    seed : of where it begins.
    """

    count: int
    spectra: int
    rounds: int
    seed: int


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
        torch.cat(residuals), torch.cat(weights), settings.count, settings.rounds, settings.seed
    )
    model.residual_factors.modes.copy_(modes)


@torch.no_grad()
def fit_parts(model: ScoringModel, spectra: SpectraSource) -> None:
    """Fit the rest of the misfit, then the distributions of the score's parts."""
    found, kept = [], []
    for index in chunks(len(spectra), 64):
        flux, ivar, redshift = batch_of(spectra, index)
        latents = model.encode(flux, ivar, redshift)
        reconstruction = model.decode(latents, redshift)
        found.append(cell_means(model.scan, flux - reconstruction, ivar, redshift, model.modes(redshift)))
        kept.append((latents, reconstruction, flux, ivar, redshift, depth_of(ivar)))
    together = [torch.cat([getattr(each, name) for each in found]) for name in CellMeans.__annotations__]
    fit_misfit(model.scan, CellMeans(*together))
    raw = torch.cat([model.raw_parts(*each) for each in kept])
    redshifts, depths = (torch.cat(parts) for parts in tuple(zip(*kept, strict=True))[4:])
    model.joint.fit(raw, depths, redshifts)
