"""Detectors: what says how odd a spectrum is, the model's score and its rivals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.evaluation.injected_spectra import InjectedSpectra
from engine.evaluation.latent_density import DENSITY, latent_density
from engine.evaluation.rivals import RIVALS, Rivals
from engine.spectra.scorer import as_float32, device_tensor
from models.reconstruction_scores import ReconstructedSpectra, reconstruction_scores
from models.score_kinds import RECONSTRUCTION_SCORES
from models.signal_to_noise import signal_to_noise
from models.spectrum_model import SpectrumModel

TAIL, SCORE = "tail", "score"
DETECTORS = (TAIL, SCORE, *RIVALS, DENSITY, *RECONSTRUCTION_SCORES)
"""Minus the log of the tail probability, the raw score, the rivals, the density of latents, the
reconstruction scores."""

_AT_ONCE = 64


@dataclass(frozen=True)
class DetectorValues:
    """What the detectors say of n spectra; the higher the odder, NaN where they have no value.

    Attributes
    ----------
    tail_probability : (n,) float32.
    score : (n,) float32.
    rivals : (n, 3) float64, as in ``RIVALS``.
    density : (n,) float32, see :func:`engine.evaluation.latent_density.latent_density`.
    reconstruction : (n, 16) float32, as in ``RECONSTRUCTION_SCORES``.
    """

    tail_probability: NDArray[np.float32]
    score: NDArray[np.float32]
    rivals: NDArray[np.float64]
    density: NDArray[np.float32]
    reconstruction: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: NDArray[np.int64]) -> DetectorValues:
        """Those of the spectra ``rows``."""
        return DetectorValues(*(getattr(self, each.name)[rows] for each in fields(self)))

    def table(self) -> NDArray[np.float64]:
        """A column for each of ``DETECTORS``, (n, D); no value is minus infinity: nothing was seen."""
        with np.errstate(divide="ignore"):
            tail = -np.log(self.tail_probability.astype(np.float64))
        columns = np.column_stack([tail, self.score, self.rivals, self.density, self.reconstruction])
        return np.where(np.isnan(columns), -np.inf, columns)


def detector_values(
    model: SpectrumModel,
    rivals: Rivals,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    redshift: NDArray[np.float64],
    progress: Callable[[int], None] = lambda _: None,
) -> DetectorValues:
    """Values for n normalised spectra, flux and ivar (n, N), redshift (n,).

    ``progress`` is called with the size of each batch.
    """
    redshift = np.ascontiguousarray(redshift)  # a column of rows has strides that torch does not take
    wavelength = torch.from_numpy(model.card.grid.wavelength())
    parts: list[tuple[NDArray[Any], ...]] = []
    for low in range(0, len(flux), _AT_ONCE):
        rows = slice(low, low + _AT_ONCE)
        x, weight, z = (torch.tensor(values[rows]) for values in (flux, ivar, redshift))
        with torch.inference_mode():
            outputs = model.outputs(x, weight, z)
            reconstruction = outputs.reconstruction
            chi2 = reconstruction_scores(
                ReconstructedSpectra(x, weight, weight > 0, reconstruction, z, wavelength)
            )
            snr = signal_to_noise(x, weight)
        score = outputs.score.to(torch.float32).numpy()
        tail = model.tail_probability(score, snr, redshift[rows])
        others = rivals.values(flux[rows], ivar[rows], redshift[rows])
        density = latent_density(model, outputs.latents, weight, z)
        parts.append((tail, score, others, density, chi2.numpy()))
        progress(len(score))
    if not parts:
        nothing = np.empty(0, np.float32)
        return DetectorValues(
            nothing,
            nothing,
            np.empty((0, len(RIVALS))),
            nothing,
            np.empty((0, len(RECONSTRUCTION_SCORES)), np.float32),
        )
    return DetectorValues(*(np.concatenate(column) for column in zip(*parts, strict=True)))


_BATCH = 16


def tail_probabilities(model: SpectrumModel, injected: InjectedSpectra) -> NDArray[np.floating]:
    """What ``model`` (in float64) gives injected spectra, (n,)."""
    if not len(injected):
        return np.empty(0, dtype=np.float32)
    cpu = torch.device("cpu")
    tail = []
    for low in range(0, len(injected), _BATCH):
        part = injected.take(slice(low, low + _BATCH))
        with torch.no_grad():
            outputs = model.outputs(
                device_tensor(part.flux, cpu).double(),
                device_tensor(part.ivar, cpu).double(),
                device_tensor(part.redshift, cpu),
            )
        tail.append(model.tail_probability(as_float32(outputs.score), part.snr, part.redshift))
    return np.concatenate(tail)
