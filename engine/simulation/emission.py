"""Emission lines of gas: fluxes relative to Hα along the star-forming sequence and for active nuclei."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.simulation.arms import SPEED_OF_LIGHT, Arm
from engine.simulation.continuum import attenuation
from engine.simulation.rest_frame import Floats


@dataclass(frozen=True)
class EmissionLine:
    """One line: ``area`` in flux units times observed Angstrom, ``wavelength`` in rest vacuum Angstrom."""

    name: str
    wavelength: float
    area: float


# Case B at 10^4 K, relative to Hβ (Osterbrock & Ferland 2006, table 4.4).
_CASE_B = (
    ("Hα", 6564.61, 2.86),
    ("Hβ", 4862.68, 1.0),
    ("Hγ", 4341.68, 0.468),
    ("Hδ", 4102.89, 0.259),
    ("Hε", 3971.20, 0.159),
    ("Hζ", 3890.15, 0.105),
)


@dataclass(frozen=True)
class GasState:
    """Where gas lies in the diagrams of line ratios, all as log10, before dust.

    Attributes
    ----------
    nitrogen : [N II] 6585 / Hα.
    oxygen : [O III] 5008 / Hβ.
    blue_oxygen : [O II] 3728 / Hβ.
    sulphur : [S II] 6718 + 6733 / Hα.
    neutral : [O I] 6302 / Hα.
    optical_depth : of the dust in front of the gas at 5500 Angstrom.
    dispersion : line width (sigma), km/s.
    """

    nitrogen: float
    oxygen: float
    blue_oxygen: float
    sulphur: float
    neutral: float
    optical_depth: float
    dispersion: float


def star_forming_gas(random: np.random.Generator, abundance: float, optical_depth: float) -> GasState:
    """Gas around young stars; ``abundance`` 0 (metal-poor) to 1 (metal-rich) is the place on the sequence.

    The ridge is Kewley et al. 2013 at z = 0: log [O III]/Hβ = 0.61 / (log [N II]/Hα + 0.08) + 1.1.
    """
    nitrogen = -1.45 + 1.05 * abundance + 0.06 * random.standard_normal()
    nitrogen = min(nitrogen, -0.32)
    oxygen = 0.61 / (nitrogen + 0.08) + 1.1 + 0.07 * random.standard_normal()
    return GasState(
        nitrogen=nitrogen,
        oxygen=oxygen,
        blue_oxygen=0.55 - 0.45 * max(abundance - 0.45, 0.0) + 0.08 * random.standard_normal(),
        sulphur=-0.62 + 0.22 * abundance + 0.06 * random.standard_normal(),
        neutral=-1.75 + 0.25 * abundance + 0.08 * random.standard_normal(),
        optical_depth=optical_depth,
        dispersion=float(np.clip(random.normal(60.0 + 70.0 * abundance, 22.0), 60.0, 250.0)),
    )


def seyfert_gas(random: np.random.Generator, optical_depth: float) -> GasState:
    """Gas lit by an active nucleus, above the maximum-starburst line (Kewley et al. 2001)."""
    return GasState(
        nitrogen=float(random.normal(-0.08, 0.09)),
        oxygen=float(random.normal(0.88, 0.12)),
        blue_oxygen=float(random.normal(0.38, 0.10)),
        sulphur=float(random.normal(-0.28, 0.08)),
        neutral=float(random.normal(-0.95, 0.10)),
        optical_depth=optical_depth,
        dispersion=float(np.clip(random.normal(165.0, 40.0), 90.0, 250.0)),
    )


def liner_gas(random: np.random.Generator, optical_depth: float) -> GasState:
    """The weak low-ionisation lines that many passive galaxies have."""
    return GasState(
        nitrogen=float(random.normal(0.10, 0.09)),
        oxygen=float(random.normal(0.30, 0.12)),
        blue_oxygen=float(random.normal(0.55, 0.10)),
        sulphur=float(random.normal(-0.08, 0.08)),
        neutral=float(random.normal(-0.75, 0.10)),
        optical_depth=optical_depth,
        dispersion=float(np.clip(random.normal(190.0, 35.0), 110.0, 250.0)),
    )


def emission_lines(gas: GasState, balmer_alpha: float) -> tuple[EmissionLine, ...]:
    """All lines of ``gas`` with Hα of area ``balmer_alpha`` after dust.

    Doublets from one upper level keep their fixed ratios: [O III] 5008 : 4960 = 2.98,
    [N II] 6585 : 6550 = 3.05, [O I] 6302 : 6366 = 3.13 (Storey & Zeippen 2000).
    """
    beta = balmer_alpha / 2.86
    nitrogen, oxygen = balmer_alpha * 10**gas.nitrogen, beta * 10**gas.oxygen
    blue, sulphur = beta * 10**gas.blue_oxygen, balmer_alpha * 10**gas.sulphur
    neutral = balmer_alpha * 10**gas.neutral
    neon = 0.085 * oxygen
    intrinsic = [(name, wavelength, beta * ratio) for name, wavelength, ratio in _CASE_B]
    intrinsic += [
        ("[O II]", 3727.09, blue * 0.425),
        ("[O II]", 3729.88, blue * 0.575),
        ("[Ne III] 3870", 3869.86, neon),
        ("[Ne III] 3969", 3968.59, neon / 3.3),
        ("He I 4473", 4472.73, 0.045 * beta),
        ("[O III] 4960", 4960.30, oxygen / 2.98),
        ("[O III] 5008", 5008.24, oxygen),
        ("He I 5877", 5877.25, 0.12 * beta),
        ("[O I] 6302", 6302.05, neutral),
        ("[O I] 6366", 6365.54, neutral / 3.13),
        ("[N II] 6550", 6549.86, nitrogen / 3.05),
        ("[N II] 6585", 6585.27, nitrogen),
        ("He I 6680", 6679.99, 0.034 * beta),
        ("[S II] 6718", 6718.29, sulphur * 0.57),
        ("[S II] 6733", 6732.67, sulphur * 0.43),
        ("[Ar III] 7138", 7137.77, 0.03 * oxygen + 0.03 * beta),
        ("[S III] 9071", 9071.1, 0.16 * sulphur + 0.06 * balmer_alpha),
        ("[S III] 9533", 9533.2, 2.47 * (0.16 * sulphur + 0.06 * balmer_alpha)),
    ]
    wavelengths = np.array([wavelength for _, wavelength, _ in intrinsic])
    dimming = attenuation(wavelengths, gas.optical_depth) / attenuation(
        np.array([6564.61]), gas.optical_depth
    )
    return tuple(
        EmissionLine(name, wavelength, float(area * factor))
        for (name, wavelength, area), factor in zip(intrinsic, dimming, strict=True)
    )


def add_emission(
    flux: list[Floats],
    arms: tuple[Arm, ...],
    lines: tuple[EmissionLine, ...],
    redshift: float,
    dispersion: float,
    velocity: float = 0.0,
) -> None:
    """Add ``lines`` at ``redshift`` to every arm's ``flux``, moved by ``velocity`` km/s (+ is redward)."""
    shift = (1.0 + redshift) * (1.0 + velocity / SPEED_OF_LIGHT)
    for arm, values in zip(arms, flux, strict=True):
        for line in lines:
            observed = line.wavelength * shift
            arm.add_line(values, observed, line.area, arm.line_sigma(observed, dispersion))
