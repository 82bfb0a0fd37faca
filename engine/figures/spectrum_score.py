"""Score of a spectrum as figures and tables show it."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
