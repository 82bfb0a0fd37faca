"""Observed baselines: spectra at hand with all their noise, instead of decoded ones."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.subject import Subject
from engine.spectra.normalisation import NormalisedSpectra
from models.grid import WavelengthGrid


def observed_baselines(
    subject: Subject, spectra: NormalisedSpectra, rows: NDArray[np.int64], grid: WavelengthGrid
) -> Tensor:
    """The ``rows`` (M,) of ``spectra``, carried to the subject's redshift, (M, N) float64.

    Masked pixels are bridged; where a carried spectrum does not reach, a decoded baseline takes its place.
    """
    wavelength = grid.wavelength()
    filling = subject.decoder.baselines(np.arange(len(rows))).double().cpu().numpy()
    carried = []
    for row, instead in zip(rows.tolist(), filling, strict=True):
        good = spectra.ivar[row] > 0
        factor = (1 + subject.redshift) / (1 + float(spectra.rows["redshift"][row]))
        known = wavelength[good] * factor
        moved = np.interp(wavelength, known, spectra.flux[row][good].astype(np.float64))
        reached = (wavelength >= known[0]) & (wavelength <= known[-1])
        carried.append(np.where(reached, moved, instead))
    return torch.from_numpy(np.stack(carried))
