"""Where baselines may come from: decoded at random, decoded and alike, or spectra as observed.

Each gives M typical spectra on the model's grid at the redshift of the spectrum to be explained.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.nearest_baselines import nearest_calibration
from engine.attribution.subject import Subject
from engine.spectra.normalisation import NormalisedSpectra
from models.spectrum_model import SpectrumModel


def decoded_baselines(model: SpectrumModel, subject: Subject, chosen: NDArray[np.int64]) -> Tensor:
    """What a run takes: reconstructions of calibration spectra drawn at random, (M, N)."""
    with torch.no_grad():
        return model.baselines(subject.redshift, chosen)


def nearest_baselines(model: SpectrumModel, subject: Subject, count: int) -> Tensor:
    """The reconstructions of calibration spectra that are most like the subject, nearest first, (count, N).

    See :func:`engine.attribution.nearest_baselines.nearest_calibration`.
    """
    chosen = nearest_calibration(model, subject.flux, subject.ivar, subject.redshift, count)
    return decoded_baselines(model, subject, chosen)


def observed_baselines(
    model: SpectrumModel, subject: Subject, spectra: NormalisedSpectra, rows: NDArray[np.int64]
) -> Tensor:
    """Spectra at hand with all their noise, carried to the subject's redshift, (M, N).

    Masked pixels are bridged; where a carried spectrum does not reach, a decoded baseline takes its place.

    Parameters
    ----------
    rows : (M,) which of ``spectra``.
    """
    wavelength = model.card.grid.wavelength()
    filling = decoded_baselines(model, subject, np.arange(len(rows))).double().cpu().numpy()
    carried = []
    for row, instead in zip(rows.tolist(), filling, strict=True):
        good = spectra.ivar[row] > 0
        stretch = (1 + subject.redshift) / (1 + float(spectra.rows["redshift"][row]))
        known = wavelength[good] * stretch
        moved = np.interp(wavelength, known, spectra.flux[row][good].astype(np.float64))
        reached = (wavelength >= known[0]) & (wavelength <= known[-1])
        carried.append(np.where(reached, moved, instead))
    return torch.from_numpy(np.stack(carried))
