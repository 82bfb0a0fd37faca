"""Traits: cause and first place of explanations, beside the shapes of their maps, and as titles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.causes.names import CAUSES, UNKNOWN

_CAUSE, _SIGN, _WIDTH = 0.5, 0.25, 0.1
"""Lengths of a certain cause, of a sign, and of a width ten times larger; the shape of a map has one."""
_ALIKE = 0.01
"""Relative distance from their median within which places are in common, if half of them are."""


@dataclass(frozen=True, eq=False)
class Traits:
    """Of n explanations.

    Attributes
    ----------
    cause : (n,) names; probability : (n,) of the causes.
    wavelength, rest_wavelength, width : (n,) of the first place, Angstrom; NaN where there is none.
    sign : (n,) of the first place; 0 where there is none.
    line : (n,) names of the lines of the first places; empty for none.
    """

    cause: NDArray[np.object_]
    probability: NDArray[np.floating]
    wavelength: NDArray[np.floating]
    rest_wavelength: NDArray[np.floating]
    width: NDArray[np.floating]
    sign: NDArray[np.signedinteger]
    line: NDArray[np.object_]

    @property
    def coordinates(self) -> NDArray[np.float32]:
        """(n, F) to be clustered beside the coordinates of the maps' shapes; what is not known is 0.

        A direction per cause, as long as it is probable; the sign of the first place; the logarithm of its
        width over its wavelength.
        """
        names = np.array([*CAUSES, UNKNOWN], dtype=object)
        causes = _CAUSE * (self.cause[:, None] == names) * np.nan_to_num(self.probability)[:, None]
        width = _WIDTH * np.nan_to_num(np.log10(self.width / self.wavelength))
        return np.column_stack([causes, _SIGN * self.sign, width]).astype(np.float32)

    def title(self, members: NDArray[np.int64]) -> str:
        """What most of the ``members`` have in common, and how many of them: cause, line, place."""
        causes = np.where(self.cause[members] == "", UNKNOWN, self.cause[members])
        cause = _commonest(causes)
        own = members[causes == cause]
        named = "unknown cause" if cause == UNKNOWN else cause.replace("_", " ")
        line = _commonest(self.line[own])
        alike = own[self.line[own] == line]
        if line and 2 * len(alike) > len(own):
            rest = float(np.median(self.rest_wavelength[alike]))
            return f"{named} near {line}, rest {rest:,.0f} Å; {len(alike)} of {len(members)}"
        spread = {
            frame: _spread(values[own])
            for frame, values in (("rest", self.rest_wavelength), ("at", self.wavelength))
        }
        frame = min(spread, key=lambda each: spread[each][1])
        middle, off, inside = spread[frame]
        if off > _ALIKE:
            return f"{named}, no place in common; {len(own)} of {len(members)}"
        return f"{named}, {frame} {middle:,.0f} Å; {inside} of {len(members)}"


def _commonest(names: NDArray[np.object_]) -> str:
    """The first of the alphabet among equals."""
    found, counts = np.unique(names.astype(str), return_counts=True)
    return str(found[counts.argmax()])


def _spread(wavelength: NDArray[np.floating]) -> tuple[float, float, int]:
    """Median, relative distance from it within which half of all are, and how many are within ``_ALIKE``."""
    known = wavelength[np.isfinite(wavelength)]
    if 2 * len(known) <= len(wavelength):
        return np.nan, np.inf, 0
    middle = float(np.median(known))
    away = np.abs(known / middle - 1)
    return middle, float(np.median(away)), int((away <= _ALIKE).sum())
