"""Quasars and stars: what a release holds besides galaxies, drawn simply."""

from __future__ import annotations

import numpy as np

from engine.simulation.arms import SPEED_OF_LIGHT, Arm
from engine.simulation.continuum import stellar_basis
from engine.simulation.emission import EmissionLine, add_emission
from engine.simulation.galaxies import Source, SourceKind, draw_magnitude, flux_of_magnitude

BROAD_LINES = (
    ("Lyα", 1215.67, 75.0),
    ("N V", 1240.81, 18.0),
    ("Si IV", 1399.8, 9.0),
    ("C IV", 1549.06, 28.0),
    ("C III]", 1908.73, 22.0),
    ("Mg II", 2799.12, 33.0),
    ("Hγ", 4341.68, 14.0),
    ("Hβ", 4862.68, 48.0),
    ("Hα", 6564.61, 190.0),
)
"""Name, rest wavelength and rest equivalent width in Angstrom, after composite quasar spectra."""
NARROW_LINES = (("[O II]", 3728.48, 2.0), ("[O III] 4960", 4960.30, 5.0), ("[O III] 5008", 5008.24, 15.0))
"""The same of narrow lines."""


def draw_quasar(
    random: np.random.Generator, arms: tuple[Arm, ...], magnitudes: tuple[float, float]
) -> Source:
    """A quasar at redshift 0.3 to 3: a power law with broad lines, absorbed blueward of Lyman alpha."""
    redshift = float(random.uniform(0.3, 3.0))
    magnitude = draw_magnitude(random, magnitudes[0] + 0.5, magnitudes[1], 0.0)
    slope, sigma = random.normal(-1.5, 0.25), random.uniform(2500.0, 7000.0) / 2.3548
    level = flux_of_magnitude(magnitude)
    flux = [level * (arm.wavelength / 6400.0) ** slope for arm in arms]
    richness = float(np.exp(0.3 * random.standard_normal()))
    for lines, width in ((BROAD_LINES, sigma), (NARROW_LINES, 250.0)):
        scaled = tuple(
            EmissionLine(
                name, rest, ew * richness * (1 + redshift) * level * (rest * (1 + redshift) / 6400.0) ** slope
            )
            for name, rest, ew in lines
        )
        add_emission(flux, arms, scaled, redshift, width)
    for arm, values in zip(arms, flux, strict=True):
        values *= np.where(arm.wavelength < 1215.67 * (1 + redshift), 0.75, 1.0)
    return Source(SourceKind.QUASAR, redshift, magnitude, sigma, tuple(flux), ())


def draw_star(random: np.random.Generator, arms: tuple[Arm, ...], magnitudes: tuple[float, float]) -> Source:
    """A star of type A to K within 250 km/s of rest: the galaxies' own stars, unmixed."""
    redshift = float(np.clip(random.normal(0.0, 90.0), -250.0, 250.0)) / SPEED_OF_LIGHT
    magnitude = draw_magnitude(random, *magnitudes, 0.0)
    warmth = random.random() * 2.0
    shares = np.clip(1.0 - np.abs(np.array([0.0, 1.0, 2.0, 9.0]) - warmth), 0.0, 1.0)
    flux = stellar_basis().observed(shares, redshift, arms, 20.0)
    level = flux_of_magnitude(magnitude) / float(np.median(np.concatenate(flux)))
    return Source(SourceKind.STAR, redshift, magnitude, 20.0, tuple(level * values for values in flux), ())
