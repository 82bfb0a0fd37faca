"""Corruption: generic damage to spectra, for outlier exposure (Hendrycks et al. 2019, arXiv 1812.04606).

An autoencoder's latents keep what reconstruction needs, and reconstruction has no use for a cosmic ray.
So the encoder gets one more output, trained to distinguish intact spectra from damaged ones of the families
below, from barely visible damage to glaring. The families are wide and use no survey's arms, lines or sky.
Calibration of the output then needs intact spectra alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Target:
    """A spectrum to be damaged, all (N,) float32: flux, its inverse variance, its noise-free model."""

    flux: Floats
    ivar: Floats
    model: Floats


def _profile(size: int, rng: np.random.Generator, narrow: float, wide: float, sharpness: float) -> Floats:
    """exp(-|x|^sharpness / 2) of random place, and width between ``narrow`` and ``wide`` pixels."""
    width = np.exp(rng.uniform(np.log(narrow), np.log(wide)))
    distance = (np.arange(size) - rng.uniform(0, size)) / width
    profile: Floats = np.exp(-0.5 * np.abs(distance) ** sharpness).astype(np.float32)
    return profile


def _excess(target: Target, rng: np.random.Generator) -> Floats:
    bumps = [_profile(len(target.flux), rng, 1.5, 150.0, 2.0) for _ in range(rng.integers(1, 4))]
    change: Floats = np.sum([bump / np.sqrt((bump**2).sum()) for bump in bumps], axis=0)
    # Stronger than any damage may be: damage() weakens it.
    return change * np.float32(1e3)


def _deficit(target: Target, rng: np.random.Generator) -> Floats:
    depth = np.float32(rng.uniform(0.25, 1.0))
    return -depth * target.model * _profile(len(target.flux), rng, 4.0, 300.0, rng.uniform(1.5, 8.0))


def _spikes(target: Target, rng: np.random.Generator) -> Floats:
    change = np.zeros_like(target.flux)
    sigma = 1.0 / np.sqrt(np.maximum(target.ivar, 1e-8))
    for _ in range(rng.integers(1, 13)):
        first = int(rng.integers(0, len(change) - 3))
        for pixel in range(first, first + int(rng.integers(1, 4))):
            change[pixel] += sigma[pixel] * np.exp(rng.uniform(np.log(6.0), np.log(40.0)))
    return change


def _step(target: Target, rng: np.random.Generator) -> Floats:
    size = len(target.flux)
    edges = np.sort(rng.integers(-size // 2, size + size // 2, 2)).clip(0, size)
    change = np.zeros_like(target.flux)
    factor = rng.uniform(0.08, 0.6) * rng.choice([-1.0, 1.0])
    change[edges[0] : edges[1]] = np.float32(factor) * target.flux[edges[0] : edges[1]]
    return change


def _bend(target: Target, rng: np.random.Generator) -> Floats:
    position = np.linspace(-1.0, 1.0, len(target.flux))
    slope, curve = rng.normal(0, 0.45), rng.normal(0, 0.2)
    factor = np.exp(slope * (position - rng.uniform(-0.3, 0.3)) + curve * position**2) - 1.0
    return (factor * target.flux).astype(np.float32)


def _roughness(target: Target, rng: np.random.Generator) -> Floats:
    size = len(target.flux)
    change = np.zeros(size, dtype=np.float32)
    sigma = 1.0 / np.sqrt(np.maximum(target.ivar, 1e-8))
    level = np.exp(rng.uniform(np.log(2.5), np.log(10.0)))
    for _ in range(rng.integers(4, 60)):
        first, width = int(rng.integers(0, size)), int(rng.integers(2, 9))
        piece = slice(first, first + width)
        change[piece] += (
            level * sigma[piece] * rng.normal() * rng.choice([1.0, -1.0], size=len(change[piece]))
        )
    return change


def _blend(target: Target, rng: np.random.Generator) -> Floats:
    shift = int(rng.integers(60, 1200)) * int(rng.choice([-1, 1]))
    other = np.roll(target.model, shift)
    return np.float32(rng.uniform(0.25, 1.0)) * other


def _line_shape(target: Target, rng: np.random.Generator) -> Floats:
    """Split or broaden every line of the noise-free model, and make lines stronger than they are."""
    half = int(rng.integers(2, 10))
    model = target.model
    kernel = np.ones(101, dtype=np.float32) / 101
    lines = model - np.convolve(np.pad(model, 50, mode="edge"), kernel, mode="valid")
    split = 0.5 * (np.roll(lines, half) + np.roll(lines, -half))
    strength = np.float32(np.exp(rng.uniform(0.0, np.log(3.0))))
    return (strength * split - lines).astype(np.float32)


FAMILIES: tuple[Callable[[Target, np.random.Generator], Floats], ...] = (
    _excess,
    _deficit,
    _spikes,
    _step,
    _bend,
    _roughness,
    _blend,
    _line_shape,
)
"""Families of damage, each of which gives the change of the flux, (N,)."""

LEAST_SIGNIFICANCE = 4.0
"""Damage of less than so many sigma in total has no label: nobody could see it."""
WEAKEST, STRONGEST = 4.0, 100.0
"""A total significance is drawn log-uniformly between these; stronger damage is weakened to it."""


@dataclass(frozen=True)
class Damage:
    """Damage to a spectrum: ``change`` (N,) of its flux, of family number ``family``.

    ``significance`` is the total of change * sqrt(ivar), in sigma.
    """

    family: int
    change: Floats
    significance: float


def damage(target: Target, rng: np.random.Generator) -> Damage:
    """Damage of a random family; nothing is changed where ``ivar`` is 0."""
    family = int(rng.integers(len(FAMILIES)))
    change = np.where(target.ivar > 0, FAMILIES[family](target, rng), np.float32(0)).astype(np.float32)
    significance = _significance(change, target)
    wanted = math.exp(rng.uniform(math.log(WEAKEST), math.log(STRONGEST)))
    if significance > wanted:
        change *= np.float32(wanted / significance)
        significance = _significance(change, target)
    return Damage(family, change, significance)


def _significance(change: Floats, target: Target) -> float:
    return float(np.sqrt((change.astype(np.float64) ** 2 * target.ivar).sum()))
