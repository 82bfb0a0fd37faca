"""The noise of residuals: by how much stated errors are off, and the floor below which nothing is known.

A survey's errors are off by some per cent, by more in some spectra than in others. A spectrum tells by how
much: from how neighbouring pixels differ. Without it a few per cent make tails of one in a thousand twice as
common. What is beyond ``SCALES`` is no usual error of errors, and stays odd.

A residual below a share of the reconstruction is no anomaly: fluxes of surveys are calibrated to about one
per cent from pixel to pixel. What the reconstruction draws sharply, lines above all, is right to a larger
share. Without it the lines of galaxies that are little but lines set every threshold.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.sharp import sharp

CALIBRATION = 0.01
"""Standard deviation of a pixel's calibration, share of the reconstruction."""
SHARP = 0.2
"""Standard deviation of what is drawn sharply, share of it."""


SCALES = (0.7, 1.4)
"""Least and largest factor of stated errors."""
_APART = 3
"""Pixels from one to the one it is compared with: resampled neighbours share their noise."""
_MEDIAN = 0.6744898
"""Median of the absolute value of a standard normal number."""
_LEAST_PIXELS = 100
"""Pairs of good pixels without which stated errors are taken as they are."""


def weights(residual: Tensor, ivar: Tensor, reconstruction: Tensor) -> Tensor:
    """Inverse variances of residuals (B, N), of those of stated noise (B, N) and reconstructions (B, N)."""
    return floored(ivar / noise_scale(residual, ivar).square()[:, None], reconstruction)


def noise_scale(residual: Tensor, ivar: Tensor) -> Tensor:
    """The noise of residuals (B, N) over its stated error, (B,), within ``SCALES``.

    From the median absolute difference of pixels, which lines and steps hardly move.
    """
    first, second = ivar[:, :-_APART], ivar[:, _APART:]
    good = (first > 0) & (second > 0)
    # Of the two variances' sum the inverse is what the inverses give, a harmonic mean over two.
    weight = first * second / (first + second).where(good, first.new_ones(()))
    difference = (residual[:, _APART:] - residual[:, :-_APART]) * weight.sqrt()
    middle = difference.abs().where(good, torch.nan).nanmedian(dim=1).values / _MEDIAN
    known = good.sum(dim=1) >= _LEAST_PIXELS
    return middle.where(known, 1.0).clamp(*SCALES)


def floored(ivar: Tensor, reconstruction: Tensor) -> Tensor:
    """Inverse variances of residuals, (B, N), of those of noise (B, N) and reconstructions (B, N)."""
    variance = (CALIBRATION * reconstruction).square() + (SHARP * sharp(reconstruction)).square()
    return ivar / (1 + ivar * variance)
