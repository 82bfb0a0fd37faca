"""Places: the few features of a spectrum that an attribution points at, with width, sign, share and line.

Where a feature is, the map says; how wide it is, the residual says. A map tells widths badly: its windows are
few, and a narrow feature raises all windows that hold it. So a place is the interval around a peak of the map
over which flux minus reconstruction is most significant, the matched filter of an unknown width. It reaches
no farther than the upper half of the peak, or, of what may be a broad line, than the residual stays half as
high (docs/decisions/0035-widths-of-places.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

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

BROADEST_LINE = 1 / 30
"""Share of its wavelength that a line is wide at most, 10,000 km/s."""

Floats = NDArray[np.floating]
_TINY = np.finfo(np.float64).tiny


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
    sigma : residual over error of the whole place, without its sign, in sigma of the stated noise.
    pixels : good pixels in it.
    """

    wavelength: float
    rest_wavelength: float
    width: float
    sign: int
    share: float
    line: str
    sigma: float
    pixels: int

    @property
    def flux(self) -> Literal["excess", "deficit"]:
        """The sign in a word."""
        return "excess" if self.sign > 0 else "deficit"

    def __str__(self) -> str:
        named = f"{self.line} " if self.line else ""
        return f"{named}{self.wavelength:.1f} Å, {self.width:.3g} Å wide, {self.flux}, {self.share:.0%}"


@dataclass(frozen=True, slots=True)
class _Interval:
    """Pixels from ``first`` to before ``stop``; the sign of what is there, its sigma, how many are good."""

    first: int
    stop: int
    sign: int
    sigma: float
    pixels: int


@dataclass(frozen=True, eq=False, slots=True)
class _Excess:
    """Flux minus reconstruction of one spectrum.

    Attributes
    ----------
    total, weight, good : (N + 1,) running sums of the residual times its inverse variance, of the latter, and
        of the number of good pixels.
    wavelength : (N,) of the pixels.
    """

    total: NDArray[np.float64]
    weight: NDArray[np.float64]
    good: NDArray[np.int64]
    wavelength: NDArray[np.float64]

    def around(self, peak: int, low: int, high: int, free: tuple[int, int]) -> _Interval:
        """The most significant interval around ``peak`` within [low, high), and on as far as it continues.

        A broad line has several peaks where the reconstruction has narrow lines on it. ``free`` is from which
        pixel to before which it may reach.
        """
        found = self._most_significant(peak, low, high)
        while True:
            first, stop = self._continued(found, *free)
            if self.wavelength[stop - 1] - self.wavelength[first] > BROADEST_LINE * self.wavelength[peak]:
                return found  # a continuum: lines on it are places of their own
            low, high = min(low, first), max(high, stop)
            wider = self._most_significant(peak, low, high)
            if wider.stop - wider.first <= found.stop - found.first:
                return found
            found = wider

    def _most_significant(self, peak: int, low: int, high: int) -> _Interval:
        """Of all intervals of :data:`WIDTHS` around ``peak`` within [low, high) that of the largest |S/N|."""
        best = _Interval(peak, peak + 1, 1, -1.0, 0)
        for width in WIDTHS:
            first = np.arange(max(low, peak - width + 1), min(peak, high - width) + 1)
            if not len(first):
                break
            total, weight = self._sums(first, width)
            significance = total / np.sqrt(np.maximum(weight, _TINY))
            at = int(np.abs(significance).argmax())
            if (sigma := float(abs(significance[at]))) > best.sigma:
                begin, stop = int(first[at]), int(first[at]) + width
                pixels = int(self.good[stop] - self.good[begin])
                best = _Interval(begin, stop, 1 if total[at] >= 0 else -1, sigma, pixels)
        return best

    def _continued(self, interval: _Interval, low: int, high: int) -> tuple[int, int]:
        """From which pixel to before which the mean over as many pixels is half of the interval's or more."""
        width = interval.stop - interval.first
        first = np.arange(low, high - width + 1)
        total, weight = self._sums(first, width)
        mean = interval.sign * total / np.maximum(weight, _TINY)
        at = interval.first - low
        # Where all pixels are masked nothing is known, and nothing ends.
        lower = np.flatnonzero((mean < 0.5 * mean[at]) & (weight > 0))
        after = int(np.searchsorted(lower, at))
        begin = int(lower[after - 1]) + 1 if after else 0
        end = int(lower[after]) - 1 if after < len(lower) else len(first) - 1
        return low + begin, low + end + width

    def _sums(self, first: NDArray[np.int64], width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        stop = first + width
        return self.total[stop] - self.total[first], self.weight[stop] - self.weight[first]


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
    found = list(_intervals(above, good, residual, ivar, grid.wavelength()))[:MOST_PLACES]
    shares = _shares(above, found, int(attribution.scales[-1]) // 2)
    return tuple(_place(each, share, grid, redshift) for each, share in zip(found, shares, strict=True))


def _intervals(
    above: Floats, good: NDArray[np.bool_], residual: Floats, ivar: Floats, wavelength: NDArray[np.float64]
) -> Iterator[_Interval]:
    """Places that do not overlap, by falling height of their peaks."""
    free = np.ones(len(above), dtype=np.bool_)
    counted = np.concatenate([[0], np.cumsum(good, dtype=np.int64)])
    excess = _Excess(_running(np.where(good, residual, 0.0) * ivar), _running(ivar), counted, wavelength)
    for peak, first, stop in _peaks(above, good):
        if not free[peak]:
            continue
        taken = np.flatnonzero(~free)
        after = int(np.searchsorted(taken, peak))
        low = int(taken[after - 1]) + 1 if after else 0
        high = int(taken[after]) if after < len(taken) else len(above)
        found = excess.around(peak, max(first, low), min(stop, high), (low, high))
        free[found.first : found.stop] = False
        yield found


def _peaks(above: Floats, good: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Good pixels where the map peaks, highest first, each with first and stop of the peak's upper half."""
    # Imported here: who opens a store knows places, and needs no scipy.
    from scipy.signal import find_peaks, peak_widths

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
    name = line.name if line else ""
    return Place(middle, rest, width, interval.sign, min(share, 1.0), name, interval.sigma, interval.pixels)
