"""Results of an evaluation of explanations: how well each method points at each injection, and their JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.evaluation.localisation import Localisation

SCHEMA = 3


@dataclass(frozen=True)
class ExplainedInjection:
    """One injected spectrum and how well each method pointed at what was injected.

    Attributes
    ----------
    kind, strength : of the anomaly; strength in sigma.
    row : place in the clean spectra of the evaluation.
    redshift, snr : of the spectrum.
    tail_probability : what the model gave it.
    drawn : whether it was taken whatever its score; otherwise because it was detected.
    area, chance : injected pixels' share of good ones, and how often a random peak counts as located.
    width : Angstrom, extent of the interval that holds the largest share of the strength.
    found : by method, how well its map points there.
    window : by combination over windows, the width in pixels that adds most at the peak.
    run_located : whether the map that a run makes is highest on the injected pixels.
    place_located : whether the first place of the explanation overlaps the injected pixels.
    place_width : Angstrom, of the first place; NaN of none.
    cautions : bits of :class:`engine.attribution.cautions.Caution` that it carries.
    """

    kind: str
    strength: float
    row: int
    redshift: float
    snr: float
    tail_probability: float
    drawn: bool
    area: float
    chance: float
    width: float
    found: Mapping[str, Localisation]
    window: Mapping[str, int]
    run_located: bool
    place_located: bool
    place_width: float
    cautions: int


@dataclass(frozen=True)
class MethodCost:
    """What one map of a method costs.

    Attributes
    ----------
    passes : forward passes it stands for, one at a time and without tricks; a gradient counts as three.
    seconds : median of one run on one machine, which it depends on.
    """

    passes: int
    seconds: float


@dataclass(frozen=True)
class ExplanationResults:
    """All injected spectra of one evaluation, explained.

    Attributes
    ----------
    model, digest : name and digest of the model.
    settings : JSON-ready, what was asked.
    threshold : tail probability at or below which a spectrum counts as detected.
    spectra : every explained one.
    unseen : windows checked that paste nothing a blind scorer sees; all of them got exactly 0.
    cost : by method. The only part that differs between runs of one seed.
    pass_seconds : of one spectrum through the model, in a batch, in the same run.
    """

    model: str
    digest: str
    settings: Mapping[str, Any]
    threshold: float
    spectra: tuple[ExplainedInjection, ...]
    unseen: int
    cost: Mapping[str, MethodCost]
    pass_seconds: float

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of all methods."""
        return tuple(self.spectra[0].found) if self.spectra else ()

    def of(self, kind: str, strength: float | None = None, *, detected: bool) -> list[ExplainedInjection]:
        """The drawn spectra of a kind (and strength), or all those of it that were detected."""
        return [
            each
            for each in self.spectra
            if each.kind == kind
            and strength in (None, each.strength)
            and (each.tail_probability <= self.threshold if detected else each.drawn)
        ]

    @property
    def detected(self) -> list[ExplainedInjection]:
        """All that the model detects."""
        return [each for each in self.spectra if each.tail_probability <= self.threshold]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of anomalies in order of their first spectrum."""
        return tuple(dict.fromkeys(each.kind for each in self.spectra))

    @property
    def strengths(self) -> tuple[float, ...]:
        """Strengths, ascending."""
        return tuple(sorted({each.strength for each in self.spectra}))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description: one column per quantity, one row per spectrum."""
        plain = (
            *("kind", "strength", "row", "redshift", "snr", "tail_probability", "drawn", "area", "chance"),
            *("run_located", "place_located", "cautions"),
        )
        columns = {name: [_number(getattr(each, name)) for each in self.spectra] for name in plain}
        columns["place_width_angstrom"] = [_number(each.place_width) for each in self.spectra]
        columns["width_angstrom"] = [_number(each.width) for each in self.spectra]
        windows = self.spectra[0].window if self.spectra else {}
        return {
            "schema": SCHEMA,
            "model": self.model,
            "digest": self.digest,
            "settings": dict(self.settings),
            "threshold": self.threshold,
            "unseen_windows_checked": self.unseen,
            "spectra": columns,
            "methods": {
                name: {
                    key: [_number(getattr(each.found[name], key)) for each in self.spectra]
                    for key in ("located", "distance", "auc", "mass")
                }
                for name in self.methods
            },
            "windows": {name: [each.window[name] for each in self.spectra] for name in windows},
            "cost": {
                "pass_seconds": self.pass_seconds,
                "methods": {
                    name: {"passes": each.passes, "seconds": each.seconds} for name, each in self.cost.items()
                },
            },
        }


def _number(value: Any) -> Any:
    """Floats to six digits, null for those that are not finite: JSON has no NaN."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None
