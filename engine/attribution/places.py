"""Places: the few features of a spectrum that an attribution points at, with width, sign, share and line.

Where a feature is, the map says; how wide it is, the residual says. A map tells widths badly: its windows are
few, and a narrow feature raises all windows that hold it. So a place is the interval around a peak of the map
over which flux minus reconstruction is most significant, the matched filter of an unknown width. It reaches
no farther than the upper half of the peak (docs/decisions/0035-widths-of-places.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks, peak_widths

from engine.attribution.attribution import Attribution
from models.grid import WavelengthGrid
from models.lines import line_of_feature

MOST_PLACES = 8
"""Places of one explanation."""

STANDING_OUT = 0.25
"""A map is uniform if less than this share of its highest point is above the floor."""

PROMINENT = 0.2
"""A peak is a place if it rises so far from what is around, in units of the highest point above the floor."""

WIDTHS = tuple(sorted({round(2 ** (half / 2)) for half in range(21)}))
"""Pixels that a place may be wide: 1 to 1024, each root 2 times the one before."""

NO_PLACE = "none: the attribution is uniform"
"""What is shown of an explanation without places."""

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Place:
    """A feature of one spectrum.

    Attributes
    ----------
    wavelength, rest_wavelength : of its middle, observed and at rest, in vacuum Angstrom.
    width : in observed Angstrom.
    sign : 1 for an excess of flux against the reconstruction, -1 for a deficit.
    share : of the attribution above the floor, 0 to 1.
    line : name of the line that it is of, see :func:`models.lines.line_of_feature`; empty if there is none.
    """

    wavelength: float
    rest_wavelength: float
    width: float
    sign: int
    share: float
    line: str

    @property
    def flux(self) -> Literal["excess", "deficit"]:
        """The sign in a word."""
        return "excess" if self.sign > 0 else "deficit"

    def __str__(self) -> str:
        named = f"{self.line} " if self.line else ""
        return f"{named}{self.wavelength:.1f} Å, {self.width:.3g} Å wide, {self.flux}, {self.share:.0%}"


@dataclass(frozen=True, slots=True)
class _Interval:
    """Pixels from ``first`` to before ``stop``, and the sign of what is there."""

    first: int
    stop: int
    sign: int


def stored_places(columns: Sequence[NDArray[Any]]) -> tuple[Place, ...]:
    """The places of one explanation from the fields of :class:`Place`, (P,) each, NaN where there is none."""
    places = (Place(*values) for values in zip(*(column.tolist() for column in columns), strict=True))
    return tuple(place for place in places if np.isfinite(place.wavelength))


def standing_out(combined: Floats, good: NDArray[np.bool_]) -> float:
    """Share of a map's highest point that is above its floor; 0 where nothing is positive."""
    highest = float(combined[good].max(initial=0.0))
    return (highest - floor_of(combined, good)) / highest if highest > 0.0 else 0.0


def floor_of(combined: Floats, good: NDArray[np.bool_]) -> float:
    """Height that a map (N,) has everywhere: its median over ``good`` pixels."""
    return float(np.median(combined[good]))


def places_of(
    attribution: Attribution, residual: Floats, ivar: Floats, grid: WavelengthGrid, redshift: float
) -> tuple[Place, ...]:
    """The places of an explanation, that of the highest peak first; none where the map is uniform.

    Parameters
    ----------
    attribution : the explanation.
    residual : (N,) flux minus the model's reconstruction.
    ivar : (N,) its inverse variance, 0 where masked.
    grid, redshift : of the spectrum.
    """
    good, combined = np.asarray(ivar > 0), attribution.combined.astype(np.float64)
    if standing_out(combined, good) < STANDING_OUT:
        return ()
    above = np.where(good, np.maximum(combined - floor_of(combined, good), 0.0), 0.0)
    found = list(_intervals(above, good, residual, ivar))[:MOST_PLACES]
    shares = _shares(above, found, int(attribution.scales[-1]) // 2)
    return tuple(_place(each, share, grid, redshift) for each, share in zip(found, shares, strict=True))


def _intervals(above: Floats, good: NDArray[np.bool_], residual: Floats, ivar: Floats) -> Iterator[_Interval]:
    """Places that do not overlap, by falling height of their peaks."""
    free = np.ones(len(above), dtype=np.bool_)
    weight, sums = _running(ivar), _running(np.where(good, residual, 0.0) * ivar)
    for peak, first, stop in _peaks(above, good):
        if not free[peak]:
            continue
        taken = np.flatnonzero(~free)
        after = int(np.searchsorted(taken, peak))
        low = max(first, int(taken[after - 1]) + 1) if after else first
        high = min(stop, int(taken[after])) if after < len(taken) else stop
        found = _most_significant(peak, low, high, sums, weight)
        free[found.first : found.stop] = False
        yield found


def _peaks(above: Floats, good: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Good pixels where the map peaks, highest first, each with first and stop of the peak's upper half."""
    where = np.flatnonzero(good)
    # Masked pixels part no peak, and zeros at both ends make a rise towards an end a peak as well.
    curve = np.pad(above[where], 1)
    found, known = find_peaks(curve, prominence=PROMINENT * float(curve.max()))
    bases = (known["prominences"], known["left_bases"], known["right_bases"])
    _, _, left, right = peak_widths(curve, found, rel_height=0.5, prominence_data=bases)
    order = sorted(range(len(found)), key=lambda number: (-curve[found[number]], number))
    first = where[np.ceil(left).astype(int) - 1]
    last = where[np.floor(right).astype(int) - 1]
    return [(int(where[found[each] - 1]), int(first[each]), int(last[each]) + 1) for each in order]


def _running(values: Floats) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _most_significant(
    peak: int, low: int, high: int, sums: NDArray[np.float64], weight: NDArray[np.float64]
) -> _Interval:
    """Of all intervals of :data:`WIDTHS` around ``peak`` within [low, high) that of the largest |S/N|.

    ``sums`` and ``weight`` (N + 1,) are running sums of residual times ivar, and of ivar.
    """
    best, most = _Interval(peak, peak + 1, 1), -1.0
    for width in WIDTHS:
        first = np.arange(max(low, peak - width + 1), min(peak, high - width) + 1)
        if not len(first):
            break
        total, variance = sums[first + width] - sums[first], weight[first + width] - weight[first]
        significance = total / np.sqrt(np.maximum(variance, np.finfo(np.float64).tiny))
        at = int(np.abs(significance).argmax())
        if abs(significance[at]) > most:
            most = float(abs(significance[at]))
            best = _Interval(int(first[at]), int(first[at]) + width, 1 if total[at] >= 0 else -1)
    return best


def _shares(above: Floats, found: list[_Interval], reach: int) -> list[float]:
    """Share of the map in each place and up to ``reach`` pixels beyond, as far as no other is nearer."""
    pixel = np.arange(len(above))
    away = np.array([np.maximum(np.maximum(each.first - pixel, pixel - each.stop + 1), 0) for each in found])
    nearest, near = away.argmin(axis=0), away.min(axis=0) <= reach
    total = float(above.sum())
    return [float(above[near & (nearest == number)].sum()) / total for number in range(len(found))]


def _place(interval: _Interval, share: float, grid: WavelengthGrid, redshift: float) -> Place:
    ends = grid.wavelength_at(np.array([interval.first - 0.5, interval.stop - 0.5]))
    middle, width = float(ends.mean()), float(ends[1] - ends[0])
    rest = middle / (1.0 + redshift)
    line = line_of_feature(rest, width / (1.0 + redshift))
    return Place(middle, rest, width, interval.sign, min(share, 1.0), line.name if line else "")
