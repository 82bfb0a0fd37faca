"""The noise floor: how well calibration and reconstruction are known, however little the noise.

A residual below a share of the reconstruction is no anomaly: fluxes of surveys are calibrated to about one
per cent from pixel to pixel. What the reconstruction draws sharply, lines above all, is right to a larger
share. Without it the lines of galaxies that are little but lines set every threshold.
"""

from __future__ import annotations

from torch import Tensor

from models.sharp import sharp

CALIBRATION = 0.01
"""Standard deviation of a pixel's calibration, share of the reconstruction."""
SHARP = 0.2
"""Standard deviation of what is drawn sharply, share of it."""


def floored(ivar: Tensor, reconstruction: Tensor) -> Tensor:
    """Inverse variances of residuals, (B, N), of those of noise (B, N) and reconstructions (B, N)."""
    variance = (CALIBRATION * reconstruction).square() + (SHARP * sharp(reconstruction)).square()
    return ivar / (1 + ivar * variance)
