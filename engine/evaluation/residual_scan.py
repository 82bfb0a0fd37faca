"""Residual scan: the most significant interval of what a fit leaves of a spectrum, wherever it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SCAN_WIDTHS = tuple(2**power for power in range(11))
"""Widths of the intervals in pixels, 1 to 1,024."""


def residual_scan(residual: NDArray[np.float32], ivar: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest significance in sigma of the mean residual over an interval, at each width, (n, widths).

    Of an interval it is the absolute value of the sum of residual * ivar over the root of the sum of ivar:
    what a constant excess or lack of flux gives. ``residual`` and ``ivar`` are (n, N); pixels without ivar
    take no part.
    """
    weight = ivar.astype(np.float64)
    weighted = np.where(ivar > 0, residual, 0).astype(np.float64) * weight
    found = np.empty((len(residual), len(SCAN_WIDTHS)), dtype=np.float32)
    sums = np.cumsum(np.stack([weighted, weight]), axis=2)
    sums = np.concatenate([np.zeros((2, len(residual), 1)), sums], axis=2)
    for column, width in enumerate(SCAN_WIDTHS):
        span = min(width, residual.shape[1])
        total, weights = sums[:, :, span:] - sums[:, :, :-span]
        # A sum of masked pixels alone is rounding error, not weight.
        usable = weights > 1e-9 * sums[1, :, -1:]
        z = np.divide(np.abs(total), np.sqrt(np.abs(weights)), out=np.zeros_like(total), where=usable)
        found[:, column] = z.max(axis=1)
    return found
