"""Strata: values in units of what they are among clean spectra of like signal-to-noise ratio and redshift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Floats = NDArray[np.floating]

ALIKE = 200
"""Clean spectra that a value is compared with: the nearest in log S/N and redshift, over their spread."""
_LEAST_SNR = 0.1


@dataclass(frozen=True)
class Strata:
    """n clean spectra with C values each.

    Attributes
    ----------
    values : (n, C) float64.
    scale : (2,), spread of log S/N and redshift.
    tree : of places in their plane.
    """

    values: NDArray[np.float64]
    scale: NDArray[np.float64]
    tree: KDTree

    @classmethod
    def of(cls, values: Floats, snr: Floats, redshift: Floats) -> Strata:
        """From values (n, C), signal-to-noise ratios and redshifts (n,) of clean spectra."""
        places = _places(snr, redshift)
        scale = np.maximum(places.std(axis=0), 1e-6)
        return cls(values.astype(np.float64), scale, KDTree(places / scale))

    def standard(self, values: Floats, snr: Floats, redshift: Floats) -> NDArray[np.float64]:
        """``values`` (m, C) less the median of like clean spectra, over their spread above it."""
        alike = min(ALIKE, len(self.values))
        near = self.tree.query(_places(snr, redshift) / self.scale, k=np.arange(1, alike + 1))[1]
        middle, upper = np.quantile(self.values[near], (0.5, 0.84), axis=1)
        return np.asarray((values - middle) / np.maximum(upper - middle, 1e-6))


def _places(snr: Floats, redshift: Floats) -> NDArray[np.float64]:
    return np.column_stack([np.log(np.maximum(snr, _LEAST_SNR)), redshift]).astype(np.float64)
