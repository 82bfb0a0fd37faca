"""Quasars and stars of a broad population."""

from __future__ import annotations

import numpy as np

from engine.simulation.arms import SPEED_OF_LIGHT, Arm
from engine.simulation.broad_galaxies import Shape, level_at, redden, template_stars
from engine.simulation.continuum import stellar_basis
from engine.simulation.emission import EmissionLine, add_emission
from engine.simulation.extinction import quasar_transmission
from engine.simulation.galaxies import SourceKind
from engine.simulation.lyman_forest import absorb
from engine.simulation.point_templates import PointTemplates, QuasarTemplate
from engine.simulation.rest_frame import Floats
from engine.simulation.templates import GalaxyTemplates

# (rest wavelength, rest equivalent width in Angstrom), after the composite of Vanden Berk et al. 2001.
_BROAD_LINES = (
    (1033.0, 9.0), (1215.67, 80.0), (1240.8, 18.0), (1399.8, 8.0), (1549.06, 24.0), (1640.4, 4.0),
    (1908.73, 21.0), (2799.12, 32.0), (4341.68, 13.0), (4862.68, 46.0), (5877.2, 5.0), (6564.61, 195.0),
)  # fmt: skip
_NARROW_LINES = (
    (3426.8, 1.0), (3728.48, 1.6), (3869.9, 1.4), (4862.68, 1.5), (4960.30, 3.5), (5008.24, 10.4),
    (6549.86, 2.0), (6564.61, 6.0), (6585.27, 6.0), (6718.29, 1.5), (6732.67, 1.5),
)  # fmt: skip
# Iron's bumps and the Balmer continuum: rest wavelength, sigma, level relative to the power law.
_BUMPS = ((2500.0, 110.0, 0.16), (2950.0, 420.0, 0.22), (4570.0, 90.0, 0.10), (5300.0, 110.0, 0.08))
_HOST_FROM = 1.0
"""Redshift from which a quasar's galaxy is not seen."""
_SPREAD = (0.22, 0.12, 0.10)
"""Scatter of quasars along each component of their templates, relative to the mean quasar."""
_FASTEST = 1500.0
"""km/s, of hypervelocity stars and of bad redshifts."""
_CATACLYSMIC_SHARE = 0.03
# Rest wavelength, equivalent width relative to Halpha's: flat decrements, as discs have (Williams 1980, ApJ
# 235, 939).
_CATACLYSMIC_LINES = (
    (6564.61, 1.0), (4862.68, 0.8), (4341.68, 0.6), (4102.89, 0.45), (3971.20, 0.35), (3890.15, 0.3),
    (5877.25, 0.25), (4472.73, 0.15), (6679.99, 0.12), (4687.02, 0.1), (7067.14, 0.1),
)  # fmt: skip
_CLASSES = {"F": 0.34, "K": 0.34, "M": 0.2, "WD": 0.12}


def draw_quasar_shape(
    random: np.random.Generator,
    arms: tuple[Arm, ...],
    points: PointTemplates | None,
    galaxies: GalaxyTemplates | None,
    redshifts: tuple[float, float],
) -> Shape:
    """One quasar between ``redshifts``: templates' or composed, with host, dust and absorption before it."""
    redshift = float(random.uniform(*redshifts))
    sigma = float(np.clip(np.exp(random.normal(8.35, 0.4)), 1500.0, 12_000.0)) / 2.3548
    if points is None:
        flux = _composed(random, arms, redshift, sigma)
    else:
        flux = _from_template(random, arms, points, redshift)
        # Lines of the template keep its width; what is added spreads it.
        _add_lines(random, arms, flux, redshift, sigma, 0.35)
    excess = float(random.exponential(0.04)) - 0.02
    tilt = 0.3 * random.standard_normal()
    for arm, values in zip(arms, flux, strict=True):
        rest = arm.wavelength / (1.0 + redshift)
        values *= quasar_transmission(rest, excess) * (rest / 3000.0) ** tilt
    if redshift < _HOST_FROM:
        _add_host(random, arms, flux, redshift, galaxies)
    absorb(random, arms, flux, redshift)
    redden(random, arms, flux, (), redshift, 0.04)
    return Shape(SourceKind.QUASAR, redshift, sigma, tuple(flux), ())


def draw_star_shape(
    random: np.random.Generator, arms: tuple[Arm, ...], points: PointTemplates | None
) -> Shape:
    """One star, from white dwarfs to M dwarfs, with cataclysmic variables; of types A to K without templates.

    One in ten is faster than stars of the disc and halo are: at up to 1,500 km/s.
    """
    redshift = _velocity(random) / SPEED_OF_LIGHT
    if points is not None and random.random() < _CATACLYSMIC_SHARE:
        flux = _cataclysmic(random, arms, points, redshift)
    elif points is None or random.random() < 0.06:
        # Types A and earlier are not among the templates; the young stars of galaxies are.
        warmth = random.uniform(0.0, 2.0) if points is None else random.uniform(1.6, 2.0)
        shares = np.clip(1.0 - np.abs(np.array([0.0, 1.0, 2.0, 9.0]) - warmth), 0.0, 1.0)
        flux = stellar_basis().observed(shares, redshift, arms, 20.0)
    else:
        weights = np.array([_CLASSES.get(star.name, 0.1) for star in points.stars])
        star = points.stars[int(random.choice(len(weights), p=weights / weights.sum()))]
        first, second = star.coefficients[random.integers(len(star.coefficients), size=2)]
        mixed = first + 0.15 * random.random() * (second - first)
        flux = star.basis.observed(mixed, redshift, arms, 15.0)
    tilt = 0.06 * random.standard_normal()
    flux = [
        np.maximum(values, 1e-3) * (arm.wavelength / 5500.0) ** tilt
        for arm, values in zip(arms, flux, strict=True)
    ]
    redden(random, arms, flux, (), redshift, 0.08)
    return Shape(SourceKind.STAR, redshift, 20.0, tuple(flux), ())


def _velocity(random: np.random.Generator) -> float:
    """A star's radial velocity, km/s."""
    if random.random() < 0.1:
        return float(random.uniform(-_FASTEST, _FASTEST))
    return float(np.clip(random.normal(0.0, 110.0), -500.0, 500.0))


def _cataclysmic(
    random: np.random.Generator, arms: tuple[Arm, ...], points: PointTemplates, redshift: float
) -> list[Floats]:
    """A disc's blue power law with broad lines of hydrogen and helium, and the M dwarf that feeds it."""
    slope = random.normal(-1.9, 0.4)
    flux = [np.asarray((arm.wavelength / 5500.0) ** slope) for arm in arms]
    dwarfs = next(star for star in points.stars if star.name == "M")
    coefficients = dwarfs.coefficients[int(random.integers(len(dwarfs.coefficients)))]
    share = 0.5 * random.random() ** 2
    for values, dwarf in zip(flux, dwarfs.basis.observed(coefficients, redshift, arms, 15.0), strict=True):
        values += share * np.maximum(dwarf, 0.0)
    width = float(np.exp(random.normal(3.4, 0.6)))
    lines = tuple(
        EmissionLine("", rest, width * share * float(np.exp(0.3 * random.standard_normal())))
        for rest, share in _CATACLYSMIC_LINES
    )
    levels = tuple(
        EmissionLine("", line.wavelength, line.area * level_at(arms, flux, line.wavelength)) for line in lines
    )
    add_emission(flux, arms, levels, redshift, random.uniform(300.0, 900.0))
    return flux


def _from_template(
    random: np.random.Generator, arms: tuple[Arm, ...], points: PointTemplates, redshift: float
) -> list[Floats]:
    template = _covering(random, arms, points, redshift)
    strength = np.asarray(_SPREAD[: len(template.spread)])
    moved = template.spread[: len(strength)] * strength * random.standard_normal(len(strength))
    for _ in range(6):
        coefficients = np.concatenate([[1.0], moved, np.zeros(len(template.spread) - len(moved))])
        flux = template.basis.observed(coefficients, redshift, arms, 50.0)
        if min(float(values.min()) for values in flux) > 0.0:
            return flux
        moved = moved / 2.0
    return [np.maximum(values, 1e-3) for values in flux]


def _covering(
    random: np.random.Generator, arms: tuple[Arm, ...], points: PointTemplates, redshift: float
) -> QuasarTemplate:
    """One of the templates that cover the arms at ``redshift``; the one that covers most if none does."""
    blue, red = (float(edge) / (1.0 + redshift) for edge in (arms[0].wavelength[0], arms[-1].wavelength[-1]))
    whole = [template for template in points.quasars if template.first <= blue and template.last >= red]
    if whole:
        return whole[int(random.integers(len(whole)))]
    return max(points.quasars, key=lambda t: min(t.last, red) - max(t.first, blue))


def _composed(
    random: np.random.Generator, arms: tuple[Arm, ...], redshift: float, sigma: float
) -> list[Floats]:
    slope, bumps = random.normal(-1.55, 0.2), 0.5 + random.random()
    flux = []
    for arm in arms:
        rest = arm.wavelength / (1.0 + redshift)
        over = sum(level * np.exp(-0.5 * ((rest - middle) / width) ** 2) for middle, width, level in _BUMPS)
        flux.append(np.asarray((rest / 3000.0) ** slope * (1.0 + bumps * over)))
    _add_lines(random, arms, flux, redshift, sigma, 1.0)
    return flux


def _add_lines(
    random: np.random.Generator,
    arms: tuple[Arm, ...],
    flux: list[Floats],
    redshift: float,
    sigma: float,
    share: float,
) -> None:
    """Broad lines of ``share`` times their usual strength, and narrow ones, each with its own scatter."""
    richness = share * float(np.exp(0.35 * random.standard_normal()))
    velocity = float(random.normal(0.0, 250.0))
    narrow = float(np.exp(0.9 * random.standard_normal()))
    parts = (
        (_BROAD_LINES, sigma, velocity, richness, 0.25),
        (_NARROW_LINES, random.uniform(130.0, 400.0), 0.0, narrow, 0.25),
    )
    for table, width, shift, strength, scatter in parts:
        lines = []
        for rest, usual in table:
            level = level_at(arms, flux, rest * (1.0 + redshift))
            factor = strength * float(np.exp(scatter * random.standard_normal()))
            lines.append(EmissionLine("", rest, usual * factor * (1.0 + redshift) * level))
        add_emission(flux, arms, tuple(lines), redshift, width, shift)


def _add_host(
    random: np.random.Generator,
    arms: tuple[Arm, ...],
    flux: list[Floats],
    redshift: float,
    galaxies: GalaxyTemplates | None,
) -> None:
    """The quasar's galaxy, up to 0.6 of the light near 5500 Angstrom at rest."""
    share = 0.6 * random.random() ** 2
    if galaxies is None:
        host = stellar_basis().observed(random.dirichlet((2.0, 1.5, 0.5, 0.1)), redshift, arms, 150.0)
    else:
        host = template_stars(random, galaxies, redshift, arms, 150.0)
    where = 5500.0 * (1.0 + redshift)
    factor = share / (1.0 - share) * level_at(arms, flux, where) / level_at(arms, host, where)
    for values, stars in zip(flux, host, strict=True):
        values += factor * stars
