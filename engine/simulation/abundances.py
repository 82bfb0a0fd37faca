"""Absorption lines that differ among galaxies of the same age: magnesium, CN, iron, and sodium between stars.

Templates tie the depths of all lines together; real galaxies do not. Massive early types have more magnesium,
CN and sodium for their iron (Worthey et al. 1992, ApJ 398, 69; Conroy et al. 2014, ApJ 780, 33), and dusty
galaxies have interstellar Na D of one Angstrom and more (Chen et al. 2010, AJ 140, 445).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.simulation.arms import SPEED_OF_LIGHT, Arm
from engine.simulation.rest_frame import Floats


@dataclass(frozen=True)
class Feature:
    """What absorbs around one place.

    Attributes
    ----------
    wavelength : rest vacuum Angstrom.
    sigma : width of its lines together, Angstrom; the galaxy's dispersion is added.
    scatter : of its equivalent width among old galaxies of one age, rest Angstrom.
    enhanced : share of that scatter that it has in common with all that old massive galaxies have more of.
    """

    wavelength: float
    sigma: float
    scatter: float
    enhanced: float


FEATURES = (
    Feature(3934.8, 6.0, 0.8, 0.0),  # Ca K
    Feature(4157.0, 15.0, 1.0, 0.8),  # CN
    Feature(4304.0, 12.0, 0.6, 0.4),  # CH
    Feature(5176.0, 11.0, 0.8, 0.8),  # Mg b, MgH
    Feature(5271.0, 6.0, 0.3, -0.4),  # Fe
    Feature(5337.0, 6.0, 0.3, -0.4),  # Fe
    Feature(5894.6, 3.5, 0.6, 0.8),  # Na D of stars
)
SODIUM = (5891.58, 5897.56)
"""Na D, rest vacuum Angstrom; between stars both lines are saturated and nearly as strong."""
_DUSTY, _INTERSTELLAR = 0.5, 0.8
"""Share of galaxies with interstellar Na D, and its mean equivalent width in them, rest Angstrom."""


def vary_abundances(
    random: np.random.Generator,
    flux: list[Floats],
    arms: tuple[Arm, ...],
    redshift: float,
    dispersion: float,
) -> None:
    """Deepen and fill absorption lines in place, each by itself; ``dispersion`` in km/s."""
    metals, enhanced = random.random(), random.standard_normal()
    own = random.standard_normal(len(FEATURES))
    depths = [
        (each.wavelength, each.sigma, metals * each.scatter * _mixed(each.enhanced, enhanced, float(chance)))
        for each, chance in zip(FEATURES, own, strict=True)
    ]
    interstellar = random.exponential(_INTERSTELLAR) if random.random() < _DUSTY else 0.0
    depths += [(wavelength, 0.0, 0.5 * interstellar) for wavelength in SODIUM]
    for arm, values in zip(arms, flux, strict=True):
        rest = arm.wavelength / (1.0 + redshift)
        for wavelength, sigma, width in depths:
            broadened = float(np.hypot(sigma, wavelength * max(dispersion, 30.0) / SPEED_OF_LIGHT))
            shape = np.exp(-0.5 * ((rest - wavelength) / broadened) ** 2)
            values *= np.exp(-width / (broadened * np.sqrt(2.0 * np.pi)) * shape)


def _mixed(share: float, common: float, own: float) -> float:
    """Normal, of variance one, correlated with ``common`` by ``share``."""
    return float(share * common + np.sqrt(1.0 - share**2) * own)
