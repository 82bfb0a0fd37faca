"""Removal: one spectrum whose pixels can be replaced by what is usual, and what is left of its score.

Outlier scores have no upper bound. So that spectra can be compared, a score is given as a share of its rise:
1 for the spectrum as it is, 0 where all of its pixels are replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Scores = Callable[[Floats], NDArray[np.float64]]
"""Spectra (B, N) to their scores (B,), the higher the odder."""


@dataclass(frozen=True, eq=False)
class Removal:
    """One spectrum of N pixels.

    Attributes
    ----------
    flux : (N,), as scored.
    replacement : (N,), what takes the place of a pixel that is removed.
    good : (N,) bool, pixels that can be removed.
    scores : of spectra (B, N).
    """

    flux: Floats
    replacement: Floats
    good: NDArray[np.bool_]
    scores: Scores

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Scores with nothing and with everything removed."""
        both = self.scores(np.stack([self.flux, np.where(self.good, self.replacement, self.flux)]))
        return float(both[0]), float(both[1])

    @property
    def rise(self) -> float:
        """Of the score above that of the replaced spectrum; NaN of none: shares mean nothing then."""
        whole, usual = self.ends
        return whole - usual if whole > usual else float("nan")

    def left(self, removed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Shares of the rise that are left without the ``removed`` (B, N) pixels, (B,)."""
        spectra = np.where(removed & self.good, self.replacement, self.flux)
        found: NDArray[np.float64] = (self.scores(spectra) - self.ends[1]) / self.rise
        return found
