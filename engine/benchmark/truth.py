"""Truth: how well a map says where something was injected, and how wide it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from engine.attribution.places import Place
from engine.evaluation.localisation import REACH, InjectedPlace, localise, overlaps
from models.grid import WavelengthGrid

WIDTH_FACTOR = 2.0
"""A width is recovered within this factor."""


@dataclass(frozen=True, slots=True)
class KnownWidth:
    """What was injected into one spectrum, as far as its width is concerned.

    Attributes
    ----------
    injected : (N,) bool, injected pixels.
    width : Angstrom, extent of the interval that holds the largest share of the strength; NaN of a kind that
        has none, such as a tilt.
    """

    injected: NDArray[np.bool_]
    width: float


def truth_measures(
    attribution: NDArray[np.floating],
    peak: int,
    places: tuple[Place, ...],
    place: InjectedPlace,
    known: KnownWidth,
    grid: WavelengthGrid,
) -> dict[str, float]:
    """The measures of the part ``truth`` of a map (N,); NaN where one does not apply.

    Parameters
    ----------
    peak : pixel of the map's highest point, as the explanation says: of a segment the middle.
    places : what the explanation points at, its first one first.
    """
    found = localise(attribution, place)
    return {
        "located": float(place.distance()[peak] <= REACH),
        "auc": found.auc,
        "average_precision": average_precision(attribution[place.good], place.injected[place.good]),
        "mass": found.mass,
        "width": width_recovered(places[0] if places else None, known, grid),
    }


def average_precision(values: NDArray[np.floating], injected: NDArray[np.bool_]) -> float:
    """Mean precision over injected pixels in the order of ``values`` (n,), equals together; NaN of none."""
    if not injected.any():
        return math.nan
    return float(average_precision_score(injected, values.astype(np.float64)))


def width_recovered(first: Place | None, known: KnownWidth, grid: WavelengthGrid) -> float:
    """1 if ``first`` overlaps injected pixels and is as wide within a factor of two, else 0.

    NaN where what was injected has no width.
    """
    if math.isnan(known.width):
        return math.nan
    if first is None or first.width <= 0:
        return 0.0
    if not overlaps(first, known.injected, grid):
        return 0.0
    return float(1 / WIDTH_FACTOR <= first.width / known.width <= WIDTH_FACTOR)
