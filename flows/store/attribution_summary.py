"""Summary of an attribution: what was explained, what was not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class AttributionSummary:
    """What an attribution did.

    Attributes
    ----------
    store, name : of the set; method, settings : by which it explains.
    explained : outliers explained now; in_set : explanations in the set.
    waiting : of the store's outliers that no newer row replaces, those that the set does not explain.
    not_outliers : selected spectra that are no outliers, or that newer rows replace: the store holds no
        spectrum of them to explain.
    absent : names that were asked for and that the store does not have.
    caution_counts : (caution label, explanations made now that carry it), sorted by label.
    seconds : wall time.
    """

    store: str
    name: str
    method: str
    settings: Mapping[str, object]
    explained: int
    in_set: int
    waiting: int
    not_outliers: int
    absent: int
    caution_counts: tuple[tuple[str, int], ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return {**asdict(self), "caution_counts": dict(self.caution_counts)}
