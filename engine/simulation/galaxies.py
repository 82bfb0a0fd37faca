"""Galaxies: redshifts, magnitudes and spectra of a population, in an instrument's pixels, before noise."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from engine.simulation.arms import Arm
from engine.simulation.continuum import attenuation, stellar_basis
from engine.simulation.emission import (
    EmissionLine,
    GasState,
    add_emission,
    emission_lines,
    liner_gas,
    seyfert_gas,
    star_forming_gas,
)
from engine.simulation.rest_frame import Floats
from engine.simulation.templates import GalaxyTemplates

REDSHIFT_RANGE = (0.01, 0.6)


class SourceKind(StrEnum):
    """What a spectrum shows."""

    STAR_FORMING = "star_forming"
    PASSIVE = "passive"
    SEYFERT = "seyfert"
    TEMPLATE = "template"
    QUASAR = "quasar"
    STAR = "star"
    SKY = "sky"


@dataclass(frozen=True)
class Source:
    """One source before noise.

    Attributes
    ----------
    kind : what it is.
    redshift : its redshift.
    magnitude : r magnitude (AB) of the light in the fibre.
    dispersion : of the continuum, km/s, on top of the width its components have.
    flux : per arm, flux in 1e-17 erg / (s cm2 Angstrom).
    lines : emission lines that were added, areas in flux times observed Angstrom; none for templates,
        which have theirs inside.
    """

    kind: SourceKind
    redshift: float
    magnitude: float
    dispersion: float
    flux: tuple[Floats, ...]
    lines: tuple[EmissionLine, ...]


def draw_redshift(random: np.random.Generator) -> tuple[float, bool]:
    """A redshift in 0.01 to 0.6, and whether it comes from the luminous red galaxies.

    Four of five follow a bright, magnitude-limited sample (peak near 0.2), the rest red galaxies near 0.45.
    """
    low, high = REDSHIFT_RANGE
    luminous_red = random.random() < 0.2
    while True:
        value = random.normal(0.45, 0.09) if luminous_red else 0.105 * random.gamma(2.3)
        if low <= value <= high:
            return float(value), luminous_red


def draw_magnitude(random: np.random.Generator, brightest: float, faintest: float, redshift: float) -> float:
    """An r magnitude: counts grow as 10^(0.25 m), and distant galaxies are not bright."""
    brightest = min(brightest + 2.5 * max(redshift - 0.08, 0.0) ** 0.5, faintest - 0.8)
    low, high = 10 ** (0.25 * brightest), 10 ** (0.25 * faintest)
    return float(4.0 * np.log10(low + (high - low) * random.random()))


def flux_of_magnitude(magnitude: float, wavelength: float = 6400.0) -> float:
    """Flux density in 1e-17 erg / (s cm2 Angstrom) of an AB ``magnitude`` at ``wavelength`` Angstrom."""
    return float(10 ** (-0.4 * (magnitude + 48.6)) * 2.99792458e18 / wavelength**2 * 1e17)


def draw_galaxy(
    random: np.random.Generator,
    arms: tuple[Arm, ...],
    magnitudes: tuple[float, float],
    templates: GalaxyTemplates | None,
) -> Source:
    """One galaxy of the population; from ``templates`` where given, else composed.

    ``magnitudes`` are the brightest and faintest of the survey. All numbers come from ``random``.
    """
    redshift, luminous_red = draw_redshift(random)
    magnitude = draw_magnitude(random, *magnitudes, redshift)
    if templates is not None:
        return _template_galaxy(random, arms, templates, redshift, magnitude)
    return _composed_galaxy(random, arms, redshift, magnitude, luminous_red)


def _template_galaxy(
    random: np.random.Generator,
    arms: tuple[Arm, ...],
    templates: GalaxyTemplates,
    redshift: float,
    magnitude: float,
) -> Source:
    coefficients = templates.draw(random)
    dispersion = float(np.clip(random.normal(75.0, 35.0), 20.0, 150.0))
    flux = templates.basis.observed(coefficients, redshift, arms, dispersion)
    slope, dust = 0.12 * random.standard_normal(), 0.15 * random.exponential()
    _reshape(flux, arms, redshift, slope, dust)
    _scale(flux, arms, magnitude)
    return Source(SourceKind.TEMPLATE, redshift, magnitude, dispersion, tuple(flux), ())


def _composed_galaxy(
    random: np.random.Generator, arms: tuple[Arm, ...], redshift: float, magnitude: float, luminous_red: bool
) -> Source:
    draw = random.random()
    kind = SourceKind.PASSIVE if draw < (0.85 if luminous_red else 0.3) else SourceKind.STAR_FORMING
    if draw > 0.95:
        kind = SourceKind.SEYFERT
    activity = float(np.clip(random.beta(2.0, 2.0), 0.02, 0.98))
    coefficients = _populations(random, kind, activity)
    passive = kind is SourceKind.PASSIVE
    dispersion = float(np.clip(random.normal(95.0 if passive else 60.0, 25.0), 20.0, 150.0))
    dust = float(random.exponential(0.08 if passive else 0.35))
    flux = stellar_basis().observed(coefficients, redshift, arms, dispersion)
    _reshape(flux, arms, redshift, 0.10 * random.standard_normal(), dust)
    _scale(flux, arms, magnitude)
    gas, equivalent_width = _gas(random, kind, activity, dust)
    level = flux_of_magnitude(magnitude) * (1.0 if passive else (6400.0 / (6564.61 * (1 + redshift))) ** 0.8)
    lines = emission_lines(gas, equivalent_width * (1.0 + redshift) * level)
    add_emission(flux, arms, lines, redshift, gas.dispersion)
    return Source(kind, redshift, magnitude, dispersion, tuple(flux), lines)


def _populations(random: np.random.Generator, kind: SourceKind, activity: float) -> Floats:
    """Shares of old, intermediate, young and ionising stars in the light at 5500 Angstrom."""
    if kind is SourceKind.PASSIVE:
        middle = 0.45 * random.random()
        young = 0.10 * random.random() ** 4
        return np.array([1.0 - middle - young, middle, young, 0.0])
    old = (1.0 - activity) * random.uniform(0.4, 0.75)
    if kind is SourceKind.SEYFERT:
        old = random.uniform(0.4, 0.7)
    rest = 1.0 - old
    middle = rest * random.uniform(0.35, 0.6)
    ionising = (rest - middle) * (0.15 + 0.75 * activity * random.random())
    return np.array([old, middle, rest - middle - ionising, ionising])


def _gas(
    random: np.random.Generator, kind: SourceKind, activity: float, dust: float
) -> tuple[GasState, float]:
    """The gas and the rest-frame equivalent width of its Hα in Angstrom."""
    optical_depth = 1.4 * dust + 0.15
    if kind is SourceKind.PASSIVE:
        return liner_gas(random, optical_depth), float(10 ** random.normal(-0.35, 0.35))
    if kind is SourceKind.SEYFERT:
        return seyfert_gas(random, optical_depth), float(10 ** random.normal(1.1, 0.25))
    abundance = float(np.clip(1.25 - 0.9 * activity + 0.12 * random.standard_normal(), 0.0, 1.0))
    return star_forming_gas(random, abundance, optical_depth), float(
        10 ** (0.65 + 1.25 * activity + 0.2 * random.standard_normal())
    )


def _reshape(flux: list[Floats], arms: tuple[Arm, ...], redshift: float, slope: float, dust: float) -> None:
    """Dust in the rest frame and a small power-law tilt: what makes no two continua alike."""
    for arm, values in zip(arms, flux, strict=True):
        rest = arm.wavelength / (1.0 + redshift)
        values *= attenuation(rest, dust) * (rest / 5500.0) ** slope


def _scale(flux: list[Floats], arms: tuple[Arm, ...], magnitude: float) -> None:
    """Bring the median flux at 6200-6600 Angstrom to ``magnitude``."""
    inside = [
        values[(arm.wavelength > 6200.0) & (arm.wavelength < 6600.0)]
        for arm, values in zip(arms, flux, strict=True)
    ]
    factor = flux_of_magnitude(magnitude) / float(np.median(np.concatenate(inside)))
    for values in flux:
        values *= factor
