"""Blind half: a scorer that cannot see one half of a spectrum, in which there are loud lines.

Whatever a map says of that half is wrong, by construction (DiFull: Rao et al. 2023, arXiv 2303.11884). The
lines there are structure that has nothing to do with the score (ChaosMining: Shi et al. 2024, arXiv
2406.12150).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.localisation import InjectedPlace

DECOY_STRENGTH = 30.0
"""Sigma of each line as a whole."""
_DECOY_WIDTHS = (2.0, 8.0, 32.0)
"""Pixels, standard deviations of the lines."""

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class BlindHalf:
    """One spectrum of N pixels with lines in a half of it.

    Attributes
    ----------
    flux : (N,) float32, lines added.
    unseen : (N,) bool, the half that the scorer is not to see.
    decoys : (N,) bool, where the lines are.
    """

    flux: NDArray[np.float32]
    unseen: NDArray[np.bool_]
    decoys: NDArray[np.bool_]

    @classmethod
    def of(cls, flux: NDArray[np.float32], ivar: Floats, change: Floats, seed: int) -> BlindHalf:
        """The half that holds less of the injected ``change`` (N,); lines at places drawn by ``seed``."""
        pixels = np.flatnonzero(ivar > 0)
        blue = np.arange(len(flux)) < pixels[len(pixels) // 2]
        power = change.astype(np.float64) ** 2 * ivar
        unseen = blue if power[blue].sum() < power[~blue].sum() else ~blue
        lines = _lines(np.random.Generator(np.random.PCG64(seed)), ivar, unseen)
        return cls((flux + lines).astype(np.float32), unseen, lines > 0)

    @property
    def _distance(self) -> NDArray[np.float64]:
        """(N,), pixels from each to the nearest that is seen."""
        pixel = np.arange(len(self.flux), dtype=np.float64)
        return InjectedPlace(pixel, ~self.decoys, ~self.unseen).distance()

    def measures(self, attribution: Floats, good: NDArray[np.bool_], widest: int) -> dict[str, float]:
        """What a map (N,), whose widest scale is so many pixels, says of what the scorer cannot see.

        Farther than the widest scale from all that is seen, no window or segment of the method touches what
        counts. NaN where the spectrum has no such place, or the map is not finite.
        """
        values = np.where(good, np.abs(attribution.astype(np.float64)), 0.0)
        total = float(values.sum())
        far = self.unseen & (self._distance > widest) & good
        if not np.isfinite(total) or not far.any():
            return dict.fromkeys(("leak", "exact_zero", "decoy", "decoyed"), float("nan"))
        peak = int(np.where(good, attribution, -np.inf).argmax())
        return {
            "leak": share_on(values, far),
            "exact_zero": float(not values[far].any()),
            "decoy": share_on(values, self.decoys),
            "decoyed": float(total > 0 and self.unseen[peak]),
        }


def share_on(values: Floats, pixels: NDArray[np.bool_]) -> float:
    """Share of |values| (N,) that is on ``pixels`` (N,); 0 of a map that is 0."""
    total = float(np.abs(values).sum())
    return 0.0 if total == 0 else float(np.abs(values[pixels]).sum()) / total


def _lines(random: np.random.Generator, ivar: Floats, unseen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Lines (N,) of flux in good pixels of a half, each of :data:`DECOY_STRENGTH`; 0 beyond 3 deviations."""
    places = random.choice(np.flatnonzero(unseen & (ivar > 0)), len(_DECOY_WIDTHS))
    pixel, flux = np.arange(len(ivar)), np.zeros(len(ivar))
    for place, width in zip(places.tolist(), _DECOY_WIDTHS, strict=True):
        away = (pixel - place) / width
        line = np.where((np.abs(away) <= 3) & unseen & (ivar > 0), np.exp(-0.5 * away**2), 0.0)
        flux += DECOY_STRENGTH * line / np.sqrt((line**2 * ivar).sum())
    return flux
