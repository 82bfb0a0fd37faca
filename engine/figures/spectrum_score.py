"""Score of a spectrum as figures and tables show it."""

from __future__ import annotations

import math
from dataclasses import dataclass

_EXTRAPOLATED = 100
"""Factor beyond which a tail's uncertainty is no number worth stating."""


@dataclass(frozen=True, slots=True)
class SpectrumScore:
    """How odd a spectrum is; NaN or empty where it is not known.

    Attributes
    ----------
    spectype : spectral class.
    score : the higher the odder.
    tail_probability : share of usual spectra that score as high.
    tail_uncertainty : one standard deviation of its natural log.
    """

    spectype: str = ""
    score: float = math.nan
    tail_probability: float = math.nan
    tail_uncertainty: float = math.nan

    @property
    def tail_text(self) -> str:
        """The tail probability, and how well it is known where that is known."""
        text = f"{self.tail_probability:.2g}"
        if not math.isfinite(self.tail_uncertainty):
            return text
        factor = math.exp(min(self.tail_uncertainty, 700.0))
        if factor > _EXTRAPOLATED:
            return f"{text}, an extrapolation, uncertain by more than a factor of {_EXTRAPOLATED}"
        return (
            f"{text}, known to a factor of {factor:.{'1f' if factor < 10 else '0f'}} (one standard deviation)"
        )
