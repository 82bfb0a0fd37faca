"""Localisation: whether a map points at what was injected, by peak, ranking and mass, beside chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.attribution.places import Place
from models.grid import WavelengthGrid

REACH = 10.0
"""Angstrom beyond the injected pixels within which a peak counts as on them."""


@dataclass(frozen=True, slots=True)
class InjectedPlace:
    """Where something was injected in one spectrum.

    Attributes
    ----------
    wavelength : (N,) observed Angstrom.
    good : (N,) bool, pixels that carry evidence; only these are ranked.
    injected : (N,) bool, injected pixels, all of them good; at least one.
    """

    wavelength: NDArray[np.float64]
    good: NDArray[np.bool_]
    injected: NDArray[np.bool_]

    @property
    def area(self) -> float:
        """Injected pixels' share of the good ones: what a map that knows nothing puts on them."""
        return float(self.injected[self.good].mean())

    @property
    def chance(self) -> float:
        """How often a peak at a random good pixel counts as located."""
        return float((self.distance()[self.good] <= REACH).mean())

    def distance(self) -> NDArray[np.float64]:
        """(N,) Angstrom from each pixel to the nearest injected one."""
        known = self.wavelength[self.injected]
        place = np.searchsorted(known, self.wavelength)
        below = np.abs(self.wavelength - known[np.maximum(place - 1, 0)])
        above = np.abs(known[np.minimum(place, len(known) - 1)] - self.wavelength)
        return np.minimum(below, above)


@dataclass(frozen=True, slots=True)
class Localisation:
    """How well one map points at an injected place.

    Attributes
    ----------
    located : whether the map is highest at an injected pixel, or within :data:`REACH` of one.
    distance : Angstrom from the highest pixel to the nearest injected one.
    auc : probability that an injected pixel has a higher value than another good one, ties half; NaN where
        all good pixels are injected.
    mass : share of the positive attribution that is on injected pixels; NaN where none is positive.
    """

    located: bool
    distance: float
    auc: float
    mass: float


def localise(attribution: NDArray[np.floating], place: InjectedPlace) -> Localisation:
    """How well a map (N,), the higher the odder, points there; its values at masked pixels do not count.

    Of a map that is highest at several pixels the bluest of them counts.
    """
    values = attribution[place.good].astype(np.float64)
    injected = place.injected[place.good]
    peak = np.flatnonzero(place.good)[int(values.argmax())]
    distance = float(place.distance()[peak])
    positive = np.maximum(values, 0.0)
    total = float(positive.sum())
    return Localisation(
        located=distance <= REACH,
        distance=distance,
        auc=pixel_auc(values, injected),
        mass=float(positive[injected].sum()) / total if total > 0.0 else float("nan"),
    )


def pixel_auc(values: NDArray[np.floating], injected: NDArray[np.bool_]) -> float:
    """Probability that a ``injected`` pixel has a higher value than another, ties half; NaN of none."""
    inside, outside = values[injected], np.sort(values[~injected])
    if not len(inside) or not len(outside):
        return float("nan")
    lower = np.searchsorted(outside, inside, side="left")
    not_higher = np.searchsorted(outside, inside, side="right")
    return float((lower + not_higher).mean() / (2 * len(outside)))


def overlaps(place: Place, injected: NDArray[np.bool_], grid: WavelengthGrid) -> bool:
    """Whether a place, with half a pixel to either side, holds one of the ``injected`` pixels (N,)."""
    half = 0.5 * (place.width + grid.width(place.wavelength, 1))
    return bool(np.any(np.abs(grid.wavelength()[injected] - place.wavelength) <= half))


def random_map(good: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """Independent numbers from 0 to 1 at ``good`` (N,) pixels, 0 at others."""
    values = np.random.Generator(np.random.PCG64(seed)).random(len(good))
    return np.where(good, values, 0.0)
