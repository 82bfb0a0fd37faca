"""Stellar continua without outside data: four populations of stars as smooth shapes with their features.

The shapes are drawn by hand to look as such populations do (4000 Angstrom break, Balmer break and
series, Ca H and K, G band, Mg b, Na D, TiO bands, Ca II triplet, metal-line blanketing); they are
made for teaching and testing a model, not for measuring stars.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.simulation.rest_frame import RestFrameBasis

Floats = NDArray[np.float64]

START, STOP, STEP = 1500.0, 10_700.0, 0.4
_BALMER = (6564.61, 4862.68, 4341.68, 4102.89, 3971.20, 3890.15, 3836.47, 3798.98, 3771.70, 3751.22, 3735.43)
_PASCHEN = (9548.59, 9231.55, 9017.38, 8865.22, 8752.88, 8667.40, 8600.75)

# (vacuum wavelength, depth in the old population, sigma in Angstrom)
_OLD_FEATURES = (
    (3934.78, 0.62, 7.0),
    (3969.59, 0.58, 7.0),
    (3860.0, 0.28, 22.0),
    (3830.0, 0.22, 12.0),
    (3735.0, 0.22, 12.0),
    (3581.0, 0.22, 14.0),
    (4046.0, 0.12, 3.5),
    (4175.0, 0.08, 16.0),
    (4228.0, 0.19, 4.0),
    (4305.6, 0.27, 12.0),
    (4327.0, 0.12, 4.0),
    (4384.8, 0.18, 6.0),
    (4456.0, 0.10, 5.0),
    (4532.0, 0.11, 10.0),
    (4669.0, 0.11, 18.0),
    (4893.0, 0.05, 5.0),
    (4922.0, 0.06, 5.0),
    (4958.0, 0.07, 5.0),
    (5017.0, 0.08, 9.0),
    (5110.0, 0.10, 26.0),
    (5168.7, 0.13, 4.0),
    (5174.1, 0.16, 3.4),
    (5185.0, 0.19, 4.0),
    (5178.0, 0.12, 26.0),
    (5206.0, 0.07, 4.0),
    (5271.0, 0.13, 5.5),
    (5329.0, 0.10, 5.0),
    (5408.0, 0.07, 5.0),
    (5529.0, 0.05, 5.0),
    (5711.0, 0.04, 6.0),
    (5784.0, 0.04, 6.0),
    (5859.0, 0.04, 4.0),
    (5891.6, 0.22, 3.0),
    (5897.6, 0.19, 3.0),
    (6104.0, 0.04, 4.0),
    (6124.0, 0.05, 4.0),
    (6164.0, 0.05, 5.0),
    (6497.0, 0.05, 6.0),
    (8184.0, 0.05, 4.0),
    (8196.0, 0.06, 4.0),
    (8500.4, 0.15, 3.6),
    (8544.4, 0.26, 4.2),
    (8664.5, 0.22, 4.0),
    (8809.0, 0.06, 4.0),
)
# (band head, depth, e-folding to the red in Angstrom): TiO shades to the red.
_TIO_BANDS = ((4956.0, 0.07, 60.0), (5450.0, 0.06, 70.0), (5850.0, 0.07, 70.0), (6160.0, 0.13, 90.0),
              (6655.0, 0.08, 70.0), (7055.0, 0.17, 130.0), (7592.0, 0.09, 110.0), (8433.0, 0.08, 90.0),
              (8862.0, 0.07, 80.0))  # fmt: skip


@lru_cache(maxsize=1)
def stellar_basis() -> RestFrameBasis:
    """Old, intermediate, young and ionising stars, each with mean flux 1 in 5000-6000 Angstrom."""
    wavelength = np.arange(START, STOP, STEP)
    blanketing = _blanketing(wavelength)
    old = (
        _planck(wavelength, 4450.0)
        * _drop(wavelength, 4000.0, 0.62, 22.0)
        * _drop(wavelength, 3000.0, 0.7, 150.0)
    )
    old *= _features(wavelength, _OLD_FEATURES, 1.0) * _tio(wavelength) * (1.0 - blanketing)
    old *= _balmer_series(wavelength, 0.10, 2.5)
    intermediate = _planck(wavelength, 5750.0) * _drop(wavelength, 3960.0, 0.80, 30.0)
    intermediate *= _drop(wavelength, 2900.0, 0.65, 150.0) * _features(wavelength, _OLD_FEATURES, 0.55)
    intermediate *= (1.0 - 0.55 * blanketing) * _balmer_series(wavelength, 0.32, 5.0)
    young = _planck(wavelength, 9300.0) * _drop(wavelength, 3690.0, 0.45, 26.0)
    young *= _features(wavelength, _OLD_FEATURES, 0.14) * _balmer_series(wavelength, 0.62, 9.0)
    young *= _paschen(wavelength, 0.12, 10.0) * (1.0 - 0.15 * blanketing)
    ionising = (wavelength / 5500.0) ** -2.1 * _drop(wavelength, 3680.0, 0.85, 40.0)
    ionising *= _balmer_series(wavelength, 0.20, 5.0) * (1.0 - 0.06 * blanketing)
    samples = np.stack([old, intermediate, young, ionising])
    window = (wavelength > 5000.0) & (wavelength < 6000.0)
    samples /= samples[:, window].mean(axis=1, keepdims=True)
    return RestFrameBasis.from_samples(START, STEP, samples)


def attenuation(rest_wavelength: Floats, optical_depth: float) -> Floats:
    """Transmission of dust, exp(-tau_V (wavelength / 5500)^-0.7) (Charlot & Fall 2000)."""
    return np.asarray(np.exp(-optical_depth * (rest_wavelength / 5500.0) ** -0.7))


def _planck(wavelength: Floats, temperature: float) -> Floats:
    exponent = 1.4387769e8 / (wavelength * temperature)
    shape = (wavelength / 5500.0) ** -5.0 / np.expm1(exponent)
    return np.asarray(shape / np.interp(5500.0, wavelength, shape))


def _drop(wavelength: Floats, edge: float, below: float, width: float) -> Floats:
    """A break: ``below`` far to the blue of ``edge``, 1 far to the red."""
    return np.asarray(
        below + (1.0 - below) / (1.0 + np.exp(-np.clip((wavelength - edge) / width, -60.0, 60.0)))
    )


def _features(wavelength: Floats, features: tuple[tuple[float, float, float], ...], scale: float) -> Floats:
    transmission = np.ones_like(wavelength)
    for centre, depth, sigma in features:
        transmission *= 1.0 - scale * depth * np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2)
    return transmission


def _tio(wavelength: Floats) -> Floats:
    transmission = np.ones_like(wavelength)
    for head, depth, length in _TIO_BANDS:
        redward = np.maximum(wavelength - head, 0.0)
        transmission *= 1.0 - depth * np.exp(-redward / length) / (
            1.0 + np.exp(-np.clip((wavelength - head) / 6.0, -60.0, 60.0))
        )
    return transmission


def _balmer_series(wavelength: Floats, depth: float, core: float) -> Floats:
    """Lorentzian-winged lines that weaken a little and crowd towards the series limit."""
    transmission = np.ones_like(wavelength)
    for order, centre in enumerate(_BALMER):
        strength = depth * (0.72, 0.92, 1.0, 1.0, 0.97, 0.93, 0.85, 0.72, 0.58, 0.44, 0.32)[order]
        transmission *= 1.0 - strength / (1.0 + ((wavelength - centre) / core) ** 2) ** 1.2
    return transmission


def _paschen(wavelength: Floats, depth: float, core: float) -> Floats:
    transmission = np.ones_like(wavelength)
    for order, centre in enumerate(_PASCHEN):
        transmission *= 1.0 - depth * 0.9**order / (1.0 + ((wavelength - centre) / core) ** 2)
    return transmission


def _blanketing(wavelength: Floats) -> Floats:
    """The forest of weak metal lines: fixed random lines, denser and deeper to the blue."""
    random = np.random.default_rng(20_041)
    centre = 2000.0 + 8500.0 * random.random(5000) ** 1.7
    depth = random.gamma(1.4, 0.013, 5000) * np.clip((5200.0 / centre) ** 2.6, 0.06, 2.6)
    sigma = random.uniform(2.0, 4.5, 5000) * centre / 5000.0
    total = np.zeros_like(wavelength)
    for middle, strength, width in zip(centre, depth, sigma, strict=True):
        first, last = np.searchsorted(wavelength, (middle - 5 * width, middle + 5 * width))
        total[first:last] += strength * np.exp(-0.5 * ((wavelength[first:last] - middle) / width) ** 2)
    return np.minimum(total, 0.8)
