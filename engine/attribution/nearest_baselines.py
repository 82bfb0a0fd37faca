"""Which typical spectra are most like a given one: baselines in which only what is odd stands out.

Baselines drawn at random differ from a spectrum in all that makes galaxies differ, and pasting any of that
changes the score. Against its like, a spectrum differs in what is odd, and in noise.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.spectrum_model import SpectrumModel

WORST = 9.0
"""Squared residuals in units of the variance count up to this: what is odd does not choose."""
_AT_ONCE = 256


def nearest_calibration(
    model: SpectrumModel, flux: Tensor, ivar: Tensor, redshift: float, count: int
) -> NDArray[np.int64]:
    """The calibration spectra whose reconstructions at this redshift are most like ``flux``, nearest first.

    Likeness is the sum over pixels of the squared residual in units of its variance, each up to
    :data:`WORST`, so that a strong anomaly of few pixels does not choose company in which it looks usual.

    Parameters
    ----------
    flux, ivar : (N,) as scored; ``ivar`` is 0 where masked.
    count : how many.
    """
    order = np.arange(model.calibration_size)
    flux, ivar = flux.double(), ivar.double()
    unlike = []
    with torch.inference_mode():
        for low in range(0, len(order), _AT_ONCE):
            decoded = model.baselines(redshift, order[low : low + _AT_ONCE])
            unlike.append(((decoded - flux).square() * ivar).clamp(max=WORST).sum(dim=1))
        ranked = torch.cat(unlike).argsort(stable=True)[:count]
    return ranked.cpu().numpy().astype(np.int64)
