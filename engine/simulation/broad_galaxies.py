"""Galaxies of a broad population: shapes of spectra drawn wide, so that few real galaxies lie outside."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.simulation.abundances import vary_abundances
from engine.simulation.arms import LARGEST_DISPERSION, SPEED_OF_LIGHT, Arm
from engine.simulation.continuum import stellar_basis
from engine.simulation.emission import (
    EmissionLine,
    GasState,
    add_emission,
    emission_lines,
    liner_gas,
    seyfert_gas,
    star_forming_gas,
)
from engine.simulation.extinction import milky_way_transmission, starburst_transmission
from engine.simulation.galaxies import SourceKind
from engine.simulation.randomness import log_uniform
from engine.simulation.rest_frame import Floats
from engine.simulation.smooth_curves import running_median
from engine.simulation.templates import GalaxyTemplates

NEAR_REDSHIFTS = (0.002, 0.65)
_DISTANT_SHARE = 1 / 3
"""Of galaxies beyond, in a population that holds both; about DESI's."""


@dataclass(frozen=True)
class Shape:
    """A source's spectrum up to a factor.

    Attributes
    ----------
    kind, redshift, dispersion, flux, lines : as of :class:`engine.simulation.galaxies.Source`, flux and
        lines in units of their own.
    """

    kind: SourceKind
    redshift: float
    dispersion: float
    flux: tuple[Floats, ...]
    lines: tuple[EmissionLine, ...]


def draw_galaxy_shape(
    random: np.random.Generator,
    arms: tuple[Arm, ...],
    templates: GalaxyTemplates | None,
    redshifts: tuple[float, float],
) -> Shape:
    """One galaxy between ``redshifts``; its stars from ``templates`` where given, else composed."""
    redshift = draw_wide_redshift(random, redshifts)
    dispersion = float(np.clip(np.exp(random.normal(4.4, 0.6)), 20.0, 320.0))
    kind = _kind(random)
    if templates is None:
        flux = stellar_basis().observed(
            _shares(random, kind), redshift, arms, min(dispersion, LARGEST_DISPERSION)
        )
        dust = random.exponential(0.05 if kind is SourceKind.PASSIVE else 0.2)
        gas: GasState | None = _gas(random, kind, dust)
    else:
        flux = template_stars(random, templates, redshift, arms, dispersion)
        # A template's row has dust of its own, some of which may be too much.
        dust = random.exponential(0.08) + 0.04 * random.standard_normal()
        # It has lines of its own, too; a third of the galaxies get others besides.
        gas = _gas(random, kind, max(dust, 0.0)) if random.random() < 1 / 3 else None
    _broaden(flux, arms, dispersion)
    deepen(flux, random.uniform(*_DEPTHS))
    vary_abundances(random, flux, arms, redshift, dispersion)
    tilt = 0.05 + 0.15 * random.standard_normal()
    for arm, values in zip(arms, flux, strict=True):
        rest = arm.wavelength / (1.0 + redshift)
        values *= starburst_transmission(rest, dust) * (rest / 5500.0) ** tilt
    lines: tuple[EmissionLine, ...] = ()
    if gas is not None:
        width = 10 ** random.normal(*_EQUIVALENT_WIDTHS[kind]) * _growth(redshift)
        level = level_at(arms, flux, 6564.61 * (1.0 + redshift))
        lines = emission_lines(gas, width * (1.0 + redshift) * level)
        add_emission(flux, arms, lines, redshift, gas.dispersion)
    lines = redden(random, arms, flux, lines, redshift, 0.05)
    if templates is not None:
        kind = SourceKind.TEMPLATE
    return Shape(kind, redshift, dispersion, tuple(flux), lines)


_DEPTHS = (0.8, 2.4)
"""Absorption lines of near SDSS galaxies are 1.8 times as deep as those of the templates, in the median."""
_AROUND = 101
"""Pixels over which a line's surroundings are taken."""
_EQUIVALENT_WIDTHS = {
    SourceKind.PASSIVE: (-0.4, 0.4),
    SourceKind.STAR_FORMING: (1.25, 0.45),
    SourceKind.SEYFERT: (1.1, 0.4),
}
"""Mean and scatter of log10 of Halpha's, rest-frame Angstrom."""


def _growth(redshift: float) -> float:
    """Factor of equivalent widths beyond the near galaxies, as star formation per mass grows.

    It grows as (1 + z)^2.5 or so (Fumagalli et al. 2012, ApJ 757 L22, find 1.8 in equivalent width of
    Halpha at fixed mass; surveys of emission lines select the strongest).
    """
    return float(max(1.0, (1.0 + redshift) / (1.0 + NEAR_REDSHIFTS[1])) ** 2.5)


def draw_wide_redshift(random: np.random.Generator, redshifts: tuple[float, float]) -> float:
    """Near galaxies and distant ones, which are spread evenly; of a range beyond the near ones these alone.

    Of the near ones about a third each are very near, a magnitude-limited sample, and at all redshifts alike.
    """
    low, high = max(redshifts[0], NEAR_REDSHIFTS[0]), min(redshifts[1], NEAR_REDSHIFTS[1])
    if redshifts[1] > NEAR_REDSHIFTS[1] and (redshifts[0] > 0.1 or random.random() < _DISTANT_SHARE):
        return float(random.uniform(redshifts[0] if redshifts[0] > 0.1 else high, redshifts[1]))
    choice = random.random()
    if choice < 0.35 and low < 0.1:
        return log_uniform(random, low, min(0.1, high))
    if choice < 0.7:
        while True:
            value = float(0.105 * random.gamma(2.3))
            if low <= value <= high:
                return value
    return float(random.uniform(low, high))


def template_stars(
    random: np.random.Generator,
    templates: GalaxyTemplates,
    redshift: float,
    arms: tuple[Arm, ...],
    dispersion: float,
) -> list[Floats]:
    """A real row of coefficients moved freely among its neighbours; positive in every pixel."""
    careful, free = templates.draw(random), templates.draw_wide(random)
    broadened = min(dispersion, LARGEST_DISPERSION)
    flux = templates.basis.observed(free, redshift, arms, broadened)
    if min(float(values.min()) for values in flux) <= 0.0:
        flux = templates.basis.observed(careful, redshift, arms, broadened)
    return [np.maximum(values, 1e-3) for values in flux]


def deepen(flux: list[Floats], power: float) -> None:
    """Raise in place what is absorbed to ``power``, as more or fewer metals do; emission stays as it is."""
    for values in flux:
        transmission = values / np.maximum(running_median(values, _AROUND), 1e-3)
        # A little above the median lies what is between the lines.
        values *= np.clip(transmission, 0.05, 1.05) ** (power - 1.0)


def level_at(arms: tuple[Arm, ...], flux: list[Floats], wavelength: float) -> float:
    """Median flux within 50 Angstrom of ``wavelength``, or of the last 50 that there are on its side."""
    nearest = min(max(wavelength, float(arms[0].wavelength[0])), float(arms[-1].wavelength[-1]))
    near = [f[np.abs(arm.wavelength - nearest) < 50.0] for arm, f in zip(arms, flux, strict=True)]
    return float(np.median(np.concatenate(near)))


def redden(
    random: np.random.Generator,
    arms: tuple[Arm, ...],
    flux: list[Floats],
    lines: tuple[EmissionLine, ...],
    redshift: float,
    mean_excess: float,
) -> tuple[EmissionLine, ...]:
    """Put the Milky Way's dust before ``flux`` (in place) and ``lines``, as files leave it in.

    A third of the spectra were corrected for it, within a tenth and a hundredth of a magnitude.
    """
    excess = min(float(random.exponential(mean_excess)), 0.4)
    if random.random() < 1 / 3:
        excess = float(0.1 * excess * random.standard_normal() + 0.01 * random.standard_normal())
    for arm, values in zip(arms, flux, strict=True):
        values *= milky_way_transmission(arm.wavelength, excess)
    if not lines:
        return lines
    seen = np.array([line.wavelength * (1.0 + redshift) for line in lines])
    dimming = milky_way_transmission(seen, excess)
    return tuple(replace(line, area=line.area * float(d)) for line, d in zip(lines, dimming, strict=True))


def _kind(random: np.random.Generator) -> SourceKind:
    draw = random.random()
    if draw < 0.4:
        return SourceKind.PASSIVE
    return SourceKind.STAR_FORMING if draw < 0.88 else SourceKind.SEYFERT


def _shares(random: np.random.Generator, kind: SourceKind) -> Floats:
    """Shares of old, intermediate, young and ionising stars in the light at 5500 Angstrom."""
    if kind is SourceKind.PASSIVE:
        return np.asarray(random.dirichlet((4.0, 1.5, 0.15, 0.02)))
    if kind is SourceKind.SEYFERT:
        return np.asarray(random.dirichlet((3.0, 1.5, 0.5, 0.3)))
    return np.asarray(random.dirichlet((1.0, 1.2, 1.0, 0.5)))


def _gas(random: np.random.Generator, kind: SourceKind, dust: float) -> GasState:
    # Gas lies behind 1 / 0.44 times the stars' colour excess (Calzetti et al. 2000).
    depth = 0.92 * 3.1 * dust / 0.44
    if kind is SourceKind.PASSIVE:
        gas = liner_gas(random, depth)
    elif kind is SourceKind.SEYFERT:
        gas = seyfert_gas(random, depth)
    else:
        gas = star_forming_gas(random, float(random.random()), depth)
    nitrogen, oxygen, blue, sulphur, neutral = np.array(
        [0.10, 0.15, 0.15, 0.10, 0.15]
    ) * random.standard_normal(5)
    return replace(
        gas,
        nitrogen=gas.nitrogen + float(nitrogen),
        oxygen=gas.oxygen + float(oxygen),
        blue_oxygen=gas.blue_oxygen + float(blue),
        sulphur=gas.sulphur + float(sulphur),
        neutral=gas.neutral + float(neutral),
        dispersion=float(np.clip(gas.dispersion * np.exp(0.3 * random.standard_normal()), 30.0, 400.0)),
    )


def _broaden(flux: list[Floats], arms: tuple[Arm, ...], dispersion: float) -> None:
    """Add in place what of ``dispersion`` exceeds the widest that arms gather."""
    if dispersion <= LARGEST_DISPERSION:
        return
    missing = np.sqrt(dispersion**2 - LARGEST_DISPERSION**2)
    for arm, values in zip(arms, flux, strict=True):
        middle = float(arm.wavelength[arm.grid.size // 2])
        sigma = middle * missing / SPEED_OF_LIGHT / arm.angstrom_per_pixel(middle)
        reach = int(4.0 * sigma) + 1
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        padded = np.pad(values, reach, mode="edge")
        values[:] = np.convolve(padded, kernel / kernel.sum(), mode="valid")
