"""Anomalies put into simulated spectra, with the wavelengths that they change: the truth of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from engine.simulation.arms import Arm
from engine.simulation.rest_frame import Floats

Region = tuple[float, float]


class AnomalyKind(StrEnum):
    """What was done to a spectrum."""

    DOUBLE_PEAKED_LINES = "double_peaked_lines"
    BROAD_SHIFTED_LINES = "broad_shifted_lines"
    SECOND_REDSHIFT = "second_redshift"
    BROAD_ABSORPTION = "broad_absorption"
    ARM_STEP = "arm_step"
    TILT = "tilt"
    COSMIC_RAYS = "cosmic_rays"
    SKY_RESIDUALS = "sky_residuals"
    DEAD_REGION = "dead_region"
    P_CYGNI = "p_cygni"
    FRINGES = "fringes"
    TRIANGULAR_BUMP = "triangular_bump"

    @property
    def astrophysical(self) -> bool:
        """Whether it comes with the light, before noise; otherwise the instrument or pipeline made it."""
        return self in _ASTROPHYSICAL

    @property
    def held_out(self) -> bool:
        """Whether evaluations alone inject it: no release holds it, and nothing was made to find it.

        No bank of causes has a template of it, no weight was chosen by it, and no model is trained with it.
        """
        return self in _HELD_OUT


_ASTROPHYSICAL = frozenset(
    {
        AnomalyKind.DOUBLE_PEAKED_LINES,
        AnomalyKind.BROAD_SHIFTED_LINES,
        AnomalyKind.SECOND_REDSHIFT,
        AnomalyKind.BROAD_ABSORPTION,
        AnomalyKind.P_CYGNI,
    }
)
_HELD_OUT = frozenset({AnomalyKind.P_CYGNI, AnomalyKind.FRINGES, AnomalyKind.TRIANGULAR_BUMP})


@dataclass(frozen=True)
class Anomaly:
    """What was done to one spectrum.

    Attributes
    ----------
    kind : what.
    regions : observed wavelength intervals (Angstrom, pixel centres, both ends included) outside which
        nothing was changed; in order, apart from each other.
    centre : the wavelength that a person would point at, observed Angstrom.
    strength : significance of the change in sigma, sqrt(sum of change^2 * ivar).
    amplitude : relative change of the flux at its largest.
    """

    kind: AnomalyKind
    regions: tuple[Region, ...]
    centre: float
    strength: float
    amplitude: float

    @property
    def wavelength_min(self) -> float:
        """Blue end of the first region, observed Angstrom."""
        return self.regions[0][0]

    @property
    def wavelength_max(self) -> float:
        """Red end of the last region, observed Angstrom."""
        return self.regions[-1][1]

    def regions_text(self) -> str:
        """The regions as text, ``5000.1:5020.3;6500.0:6530.0``."""
        return ";".join(f"{low:.2f}:{high:.2f}" for low, high in self.regions)


def parse_regions(text: str) -> tuple[Region, ...]:
    """The inverse of :meth:`Anomaly.regions_text`; empty text has no regions."""
    pairs = [part.split(":") for part in text.split(";") if part]
    return tuple((float(low), float(high)) for low, high in pairs)


def inside(wavelength: Floats, regions: tuple[Region, ...]) -> NDArray[np.bool_]:
    """Which of ``wavelength`` lie in one of ``regions``, ends included."""
    found = np.zeros(wavelength.shape, dtype=bool)
    for low, high in regions:
        found |= (wavelength >= low) & (wavelength <= high)
    return found


def merged(regions: list[Region], arms: tuple[Arm, ...]) -> tuple[Region, ...]:
    """``regions`` in order, cut to the wavelengths of ``arms``, overlapping ones joined, rounded outwards."""
    first, last = float(arms[0].wavelength[0]), float(arms[-1].wavelength[-1])
    joined: list[Region] = []
    for low, high in sorted(regions):
        low = np.floor(max(low, first) * 100) / 100
        high = np.ceil(min(high, last) * 100) / 100
        if low >= high:
            continue
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], float(high)))
        else:
            joined.append((float(low), float(high)))
    return tuple(joined)
