"""Significance of a place, and what chance shows in as many trials.

Over the pixels of an interval sum(w r) / sqrt(sum(w)) has unit variance in noise, with w the inverse variance
of the residual r. Of n independent trials chance alone shows more than u sigma in one at least with the
probability 1 - (1 - p)^n, p = 2 Q(u) (Sidak 1967, J. Am. Stat. Assoc. 62, 626). Intervals that overlap by at
most half count as independent: of each width as many as have their middles half a width apart. That is the
look-elsewhere effect of Gross & Vitells (2010, Eur. Phys. J. C 70, 525), whose number of trials grows slowly
with u: on pure noise the stated u is 0.05 sigma too low at 4.3, and 0.1 at 5.2 (docs/numbers.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from engine.attribution.places import WIDTHS


@dataclass(frozen=True, slots=True)
class Significance:
    """How far the first place of an explanation stands out of the noise of its spectrum.

    Attributes
    ----------
    sigma : residual over error, both of the whole place; NaN without a place.
    pixels : good ones in the place.
    trials : independent intervals of the spectrum, see :func:`trials_in`.
    spectra : number of spectra that were looked at.
    """

    sigma: float
    pixels: int
    trials: int
    spectra: int

    @property
    def by_chance(self) -> float:
        """Sigma that the most significant of all trials has by chance in half of all cases."""
        return chance_sigma(self.trials * self.spectra)

    def __str__(self) -> str:
        """For people."""
        pixels = "1 pixel" if self.pixels == 1 else f"{self.pixels:,} pixels"
        spectra = "1 spectrum" if self.spectra == 1 else f"{self.spectra:,} spectra"
        chance = (
            f"of {spectra} with {self.trials:,} places each, chance shows up to {self.by_chance:.1f} sigma"
        )
        return f"{self.sigma:.1f} sigma in {pixels}; {chance}" if math.isfinite(self.sigma) else chance


def trials_in(pixels: int) -> int:
    """Intervals of all widths of places that are independent in so many good pixels."""
    return sum(pixels // width if width == 1 else 2 * pixels // width for width in WIDTHS if width <= pixels)


def chance_sigma(trials: int) -> float:
    """Largest of so many independent deviations of either sign that noise shows, its median, in sigma."""
    if trials < 1:
        return math.nan
    each = -math.expm1(math.log(0.5) / trials)
    return -NormalDist().inv_cdf(0.5 * each)
