"""Explanations with synthetic groups, for the tests of clustering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.grid import WavelengthGrid

SMALL_GRID = WavelengthGrid("small", "linear", 3600.0, 8.0, 779)
GROUPS = (4102.89, 5008.24, 6564.61, 5894.57)


@dataclass(frozen=True)
class Synthetic:
    redshift: NDArray[np.float64]
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    baseline: NDArray[np.float32]
    combined: NDArray[np.float32]
    group: NDArray[np.int64]


def synthetic(count: int, *, seed: int = 0, noise: float = 0.02, groups: int = len(GROUPS)) -> Synthetic:
    """``count`` explanations on SMALL_GRID, each odd at one of ``groups`` rest wavelengths.

    The last group is a deficit of flux, the others are excesses.
    """
    generator = np.random.default_rng(seed)
    group = generator.permutation(np.arange(count) % groups)
    redshift = generator.uniform(0.02, 0.3, count)
    wavelength = SMALL_GRID.wavelength()
    centre = np.array(GROUPS)[group] * (1.0 + redshift)
    bump = np.exp(-0.5 * np.square((wavelength - centre[:, None]) / 25.0))
    height = generator.uniform(5.0, 50.0, (count, 1))
    combined = height * (bump + noise * generator.normal(size=bump.shape))
    sign = np.where(group == len(GROUPS) - 1, -0.5, 2.0)[:, None]
    baseline = np.ones_like(bump)
    ivar = np.full(bump.shape, 400.0)
    ivar[:, 650:660] = 0.0  # redward of every synthetic line
    combined[ivar == 0.0] = 0.0
    return Synthetic(
        redshift=redshift,
        flux=(baseline + sign * bump).astype(np.float32),
        ivar=ivar.astype(np.float32),
        baseline=baseline.astype(np.float32),
        combined=combined.astype(np.float32),
        group=group,
    )
