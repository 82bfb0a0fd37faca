"""Agreement: how far two explanations of one spectrum point at the same pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.attribution.explanation import Explanation
from engine.attribution.places import Place


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two explanations of one spectrum, compared.

    Attributes
    ----------
    first, second : names of the sets that they are of.
    rank_correlation : Spearman's, of the combined maps over the good pixels: 1 for the same order of pixels,
        0 for orders that have nothing in common; NaN where a map is uniform or is not known.
    shared : places of the first that overlap a place of the second, the highest first.
    places : number of places of either.
    """

    first: str
    second: str
    rank_correlation: float
    shared: tuple[Place, ...]
    places: tuple[int, int]

    def __str__(self) -> str:
        correlated = f"{self.rank_correlation:.2f}" if math.isfinite(self.rank_correlation) else "unknown"
        where = ", ".join(f"{place.wavelength:.1f} Å" for place in self.shared)
        of, beside = self.places
        shared = f"{len(self.shared)} of {of} places also among the {beside} of {self.second}"
        return f"rank correlation {correlated}; {shared}{f': {where}' if where else ''}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return asdict(self)


def agreements(explanations: Mapping[str, Explanation]) -> tuple[Agreement, ...]:
    """Of all pairs of explanations of one spectrum, by the names of their sets."""
    return tuple(
        agreement_of(*pair, explanations[pair[0]], explanations[pair[1]])
        for pair in combinations(explanations, 2)
    )


def agreement_of(first: str, second: str, one: Explanation, other: Explanation) -> Agreement:
    """Of two explanations of one spectrum, which are of the sets of these names."""
    good = (one.ivar > 0) & (other.ivar > 0)
    places, others = one.places, other.places
    return Agreement(
        first,
        second,
        rank_correlation(np.stack([one.combined[good], other.combined[good]])),
        tuple(place for place in places if any(_overlap(place, each) for each in others)),
        (len(places), len(others)),
    )


def rank_correlation(maps: NDArray[np.floating]) -> float:
    """Mean rank correlation of maps (M, n), of all pairs; NaN where a map is uniform or not finite."""
    from scipy.stats import rankdata

    if not np.isfinite(maps).all() or not maps.size or (np.ptp(maps, axis=1) == 0).any():
        return math.nan
    matrix = np.corrcoef(rankdata(maps, axis=1))
    return float(np.mean([matrix[pair] for pair in combinations(range(len(maps)), 2)]))


def _overlap(one: Place, other: Place) -> bool:
    return abs(one.wavelength - other.wavelength) <= 0.5 * (one.width + other.width)
