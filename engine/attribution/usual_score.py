"""Usual score: the score that a model gives spectra of a given tail probability."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from models.signal_to_noise import signal_to_noise
from models.spectrum_model import SpectrumModel

_SIZES = np.geomspace(1e-6, 1e9, 61)
"""Sizes of scores that are tried first, of either sign."""
_ROUNDS = 5
"""Each makes the interval sixty times narrower."""


def usual_score(model: SpectrumModel, flux: Tensor, ivar: Tensor, redshift: float, tail: float) -> float:
    """The largest score whose tail probability is above ``tail``, among spectra like flux (N,), ivar (N,).

    Their S/N is that of the normalised flux. Found by trials in ever narrower intervals.
    """
    ratio = signal_to_noise(flux[None].float(), ivar[None].float())[0]
    tried = np.concatenate([-_SIZES[::-1], [0.0], _SIZES])
    for _ in range(_ROUNDS):
        given = model.tail_probability(tried, np.full(len(tried), ratio), np.full(len(tried), redshift))
        usual = max(int(np.count_nonzero(given > tail)), 1) - 1
        low, high = tried[usual], tried[min(usual + 1, len(tried) - 1)]
        tried = np.linspace(low, high, len(_SIZES))
    return float(tried[0])
