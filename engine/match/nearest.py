"""Nearest object on the sky within a radius, exact at the poles and where right ascension begins anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]

_MARGIN = 1e-15
"""Of chords between unit vectors: what rounding makes of the coordinates."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Which of n positions have an object near.

    Attributes
    ----------
    places : (m,) places among the n, rising; objects : (m,) numbers of their nearest objects.
    separation : (m,) degrees.
    several : how many of the m have more than one object within the radius.
    """

    places: NDArray[np.int64]
    objects: NDArray[np.int64]
    separation: Floats
    several: int


class NearestObject:
    """Finds the nearest of many objects.

    A k-d tree of unit vectors finds candidates, because chords know neither poles nor seams. The haversine
    formula then decides, because it keeps its digits at small angles. The border belongs to the radius.

    Parameters
    ----------
    ra, dec : (k,) degrees; radius : degrees.
    """

    def __init__(self, ra: Floats, dec: Floats, radius: float) -> None:
        self._ra, self._dec, self._radius = ra, dec, radius
        self._chord = 2 * np.sin(np.radians(radius) / 2) * (1 + 1e-12) + _MARGIN
        self._tree = cKDTree(unit_vectors(ra, dec))

    def of(self, ra: Floats, dec: Floats) -> Neighbours:
        """Neighbours of (n,) positions in degrees, all of them finite."""
        _, found = self._tree.query(unit_vectors(ra, dec), k=2, distance_upper_bound=self._chord)
        places = np.flatnonzero(found[:, 0] < len(self._ra))
        first, second = found[places, 0], found[places, 1]
        angle = separation(ra[places], dec[places], self._ra[first], self._dec[first])
        near = angle <= self._radius
        other = np.minimum(second, len(self._ra) - 1)  # the tree's number for none is one too many
        apart = separation(ra[places], dec[places], self._ra[other], self._dec[other])
        several = near & (second < len(self._ra)) & (apart <= self._radius)
        return Neighbours(places[near], first[near], angle[near], int(several.sum()))

    def by_chance(self, ra: Floats, dec: Floats) -> int:
        """How many of these positions have an object near once they are moved 20 radii to the north.

        So many matches, or fewer, are by chance: where objects lie as densely, but none belongs there.
        """
        moved = dec + 20 * self._radius
        beyond = moved > 90
        return len(self.of(np.where(beyond, ra + 180, ra), np.where(beyond, 180 - moved, moved)).places)


def unit_vectors(ra: Floats, dec: Floats) -> Floats:
    """(n, 3) of positions in degrees."""
    longitude, latitude = np.radians(ra), np.radians(dec)
    flat = np.cos(latitude)
    return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=1)


def separation(ra: Floats, dec: Floats, other_ra: Floats, other_dec: Floats) -> Floats:
    """(n,) degrees between positions in degrees, by the haversine formula."""
    across, along = np.radians(other_ra - ra) / 2, np.radians(other_dec - dec) / 2
    flat = np.cos(np.radians(dec)) * np.cos(np.radians(other_dec))
    half = np.sqrt(np.sin(along) ** 2 + flat * np.sin(across) ** 2)
    angle: Floats = np.degrees(2 * np.arcsin(np.minimum(half, 1.0)))
    return angle
