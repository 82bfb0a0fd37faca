"""The axis of scores: linear over the bulk, logarithmic in the tails."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GAUSSIAN = 1.349
"""Interquartile range of a normal distribution in standard deviations."""
_NEAR = 20


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """``asinh((score - centre) / width)``: scores far above the others stay in sight of the others.

    The form is that of the asinh magnitudes of Lupton, Gunn & Szalay (1999, AJ 118, 1406).

    Attributes
    ----------
    centre, width : median and spread of the bulk (nat); low, high : ends of the axis (nat).
    """

    centre: float
    width: float
    low: float
    high: float

    @classmethod
    def of(cls, score: NDArray[np.floating]) -> ScoreScale:
        """The scale that suits these scores (n,), n > 0, all finite.

        The lowest score in two thousand is the low end: an axis is not for the one best fitted spectrum.
        """
        low, first, centre, third = (float(value) for value in np.percentile(score, [0.05, 25, 50, 75]))
        high = float(score.max())
        if high <= low:
            low, high = low - 0.5, low + 0.5
        return cls(centre, (third - first) / _GAUSSIAN or (high - low), low, high)

    def forward(self, score: NDArray[np.floating]) -> NDArray[np.floating]:
        """Place on the axis."""
        return np.asarray(np.arcsinh((np.asarray(score) - self.centre) / self.width))

    def inverse(self, place: NDArray[np.floating]) -> NDArray[np.floating]:
        """Score at a place on the axis."""
        return np.asarray(self.centre + self.width * np.sinh(place))

    def edges(self, bins: int) -> NDArray[np.floating]:
        """Edges (bins + 1,) of bins equally wide on the axis, from end to end."""
        ends = self.forward(np.array([self.low, self.high]))
        edges = self.inverse(np.linspace(ends[0], ends[1], bins + 1))
        # The ends exactly: rounding must not leave the highest score out.
        edges[0], edges[-1] = self.low, self.high
        return edges

    def limits(self, margin: float) -> tuple[float, float]:
        """The ends with a margin, a share of the axis, on both sides."""
        first, last = (float(end) for end in self.forward(np.array([self.low, self.high])))
        room = margin * (last - first)
        begin, end = self.inverse(np.array([first - room, last + room]))
        return float(begin), float(end)

    def ticks(self, apart: float) -> tuple[float, ...]:
        """Round scores, ascending, at least ``apart`` of the axis from one another; the roundest win."""
        ends = self.forward(np.array([self.low, self.high]))
        room = apart * float(ends[1] - ends[0])
        chosen: list[float] = []
        places: list[float] = []
        for step in self._steps():
            for multiple in self._multiples(step):
                place = float(self.forward(np.array(multiple)))
                if all(abs(place - other) >= room for other in places):
                    chosen.append(multiple)
                    places.append(place)
        return tuple(sorted(chosen))

    def _steps(self) -> list[float]:
        largest = math.ceil(math.log10(max(abs(self.low), abs(self.high), self.high - self.low)))
        smallest = math.floor(math.log10(min(self.width, self.high - self.low) / 2.0))
        return [part * 10.0**power for power in range(largest, smallest - 1, -1) for part in (5.0, 2.0, 1.0)]

    def _multiples(self, step: float) -> list[float]:
        """Multiples of ``step`` on the axis, where steps of this size are not too narrow to tell apart."""
        first = math.ceil(max(self.low, self.centre - _NEAR * step) / step)
        last = math.floor(min(self.high, self.centre + _NEAR * step) / step)
        return [number * step for number in range(first, last + 1)]


def plain_number(value: float, _: object = None) -> str:
    """``1,000``, ``0.5``, ``−20``: no powers of ten."""
    return f"{value:,.12g}".replace("-", "−")
