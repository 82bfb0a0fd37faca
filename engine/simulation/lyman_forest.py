"""The Lyman alpha forest and narrow metal doublets: absorption of quasars' light between the galaxies."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engine.simulation.arms import SPEED_OF_LIGHT, Arm
from engine.simulation.rest_frame import Floats

LYMAN_ALPHA, LYMAN_LIMIT = 1215.67, 911.75
_CLUMPING = 1.7
"""Scatter of the natural logarithm of the optical depth, on the scale of a pixel."""
_DOUBLETS = ((2796.35, 2803.53), (1548.20, 1550.78), (2586.65, 2600.17))
"""Mg II, C IV, Fe II."""


def absorb(random: np.random.Generator, arms: tuple[Arm, ...], flux: list[Floats], redshift: float) -> None:
    """Take from ``flux`` (in place) what lies before a quasar at ``redshift``; the same in overlapping arms.

    The mean optical depth is 0.0018 (1 + z)^3.92 (Faucher-Giguere et al. 2008, ApJ 681, 831); what is left
    of the light below the Lyman limit falls off over some hundred Angstrom.
    """
    if LYMAN_ALPHA * (1.0 + redshift) > arms[0].wavelength[0]:
        _forest(random, arms, flux, redshift)
    for _ in range(int(random.poisson(0.25))):
        _metals(random, arms, flux, redshift)


def _forest(random: np.random.Generator, arms: tuple[Arm, ...], flux: list[Floats], redshift: float) -> None:
    first, last = float(arms[0].wavelength[0]), LYMAN_ALPHA * (1.0 + redshift)
    wavelength = 10 ** np.arange(np.log10(first) - 1e-3, np.log10(last), 1e-4)
    white = random.standard_normal(len(wavelength) + 8)
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.3) ** 2)
    field = np.convolve(white, kernel / np.sqrt(np.sum(kernel**2)), mode="valid")
    wanted = np.exp(-0.0018 * (wavelength / LYMAN_ALPHA) ** 3.92)
    amplitudes, means = _mean_transmission()
    amplitude = np.interp(wanted, means[::-1], amplitudes[::-1])
    transmission = np.exp(-amplitude * np.exp(_CLUMPING * field))
    smooth = np.exp(-0.5 * (np.arange(-3, 4) / 1.0) ** 2)
    transmission = np.convolve(np.pad(transmission, 3, mode="edge"), smooth / smooth.sum(), mode="valid")
    below = np.maximum(LYMAN_LIMIT * (1.0 + redshift) - wavelength, 0.0)
    transmission *= np.exp(-below / random.uniform(150.0, 1500.0))
    for arm, values in zip(arms, flux, strict=True):
        values *= np.interp(arm.wavelength, wavelength, transmission, right=1.0)


@lru_cache(maxsize=1)
def _mean_transmission() -> tuple[Floats, Floats]:
    """Amplitudes of the optical depth, and the mean transmission of a clumped forest at each, falling."""
    amplitudes = np.geomspace(1e-4, 1e3, 200)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    depths = amplitudes[:, None] * np.exp(_CLUMPING * nodes)
    return amplitudes, np.asarray(np.exp(-depths) @ (weights / weights.sum()))


def _metals(random: np.random.Generator, arms: tuple[Arm, ...], flux: list[Floats], redshift: float) -> None:
    pair = _DOUBLETS[int(random.integers(len(_DOUBLETS)))]
    between = redshift * random.random()
    strength, sigma = random.exponential(0.8), random.uniform(50.0, 130.0) / SPEED_OF_LIGHT
    for rest, share in zip(pair, (1.0, 0.7), strict=True):
        observed = rest * (1.0 + between)
        for arm, values in zip(arms, flux, strict=True):
            offset = (arm.wavelength / observed - 1.0) / np.hypot(sigma, 2.5e-4)
            near = np.abs(offset) < 6.0
            values[near] *= np.exp(-share * strength * np.exp(-0.5 * offset[near] ** 2))
