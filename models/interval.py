"""Interval: a value and what 95 % of samples would have it between."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the interval that holds the truth in 95 % of samples; NaN of nothing counted."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Interval:
        """The estimate of a multiple."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)
