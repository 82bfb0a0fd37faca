"""Results of the detection half of an evaluation, and their JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from engine.evaluation.ideal_observer import Bound
from engine.evaluation.judged_causes import JudgedCauses
from engine.evaluation.rates import Estimate
from engine.simulation.anomalies import AnomalyKind

SCHEMA = 3
ALL = "all"
"""The bin of all signal-to-noise ratios."""


@dataclass(frozen=True)
class EvaluationSettings:
    """What was evaluated, and how.

    Attributes
    ----------
    spectra : clean spectra.
    seed : of spectra, anomalies and resamples.
    strengths : of the anomalies, sigma.
    kinds : names of the anomalies.
    population : of the spectra, ``broad`` or ``plain``.
    templates, sky : whether sources were drawn from redrock templates too, and sky from real fibres.
    false_positives : share of clean spectra that may be taken for odd where recall is stated.
    threshold : tail probability up to which a run selects.
    rivals : spectra of another seed from which the rivals learn.
    """

    spectra: int
    seed: int
    strengths: tuple[float, ...]
    kinds: tuple[str, ...]
    population: str
    templates: bool
    sky: bool
    false_positives: float
    threshold: float
    rivals: int


@dataclass(frozen=True)
class CleanShare:
    """Clean spectra with a tail probability up to a threshold, in a bin of signal-to-noise ratio."""

    snr: str
    threshold: float
    spectra: int
    selected: Estimate


@dataclass(frozen=True)
class InjectionCount:
    """How many of the clean spectra carry an anomaly, and why the others do not.

    Attributes
    ----------
    kind, strength : of the anomaly.
    injected : spectra that carry it.
    no_place : nothing of it falls on good pixels of the spectrum at its redshift.
    too_strong : the kind cannot be as strong in the spectrum, e.g. more light lost than there is.
    unscorable : it destroys the normalisation, so that the model gives no score.
    """

    kind: str
    strength: float
    injected: int
    no_place: int
    too_strong: int
    unscorable: int


@dataclass(frozen=True)
class Detected:
    """How well one detector finds one kind at one strength: against the clean twins of the same spectra."""

    detector: str
    auc: Estimate
    recall: Estimate


@dataclass(frozen=True)
class Detection:
    """How well one kind is found at one strength, in a bin of signal-to-noise ratio.

    Attributes
    ----------
    kind, strength : of the anomaly; strength in sigma, against photon noise.
    snr : name of the bin.
    spectra : how many carry it.
    per_pixel : median over them of the strength over the root of the number of injected pixels.
    effective : median of the strength against noise and population, see
        :mod:`engine.evaluation.population`.
    selected : share with a tail probability at or below the threshold.
    detectors : what each found.
    """

    kind: str
    strength: float
    snr: str
    spectra: int
    per_pixel: float
    effective: float
    selected: Estimate
    detectors: tuple[Detected, ...]

    def by(self, detector: str) -> Detected:
        """What the detector of that name did."""
        return next(each for each in self.detectors if each.detector == detector)


@dataclass(frozen=True)
class KindBound:
    """What ideal observers find of one kind at one strength.

    The first three know the clean spectrum; the last knows shapes and the population's covariance instead.
    """

    kind: str
    strength: float
    known_place: Bound
    unknown_place: Bound
    unknown_shape: Bound
    known_covariance: Bound


@dataclass(frozen=True)
class DetectionResults:
    """All of an evaluation's detection half.

    Attributes
    ----------
    schema : version of the JSON.
    model, digest, grid, classes : the model.
    settings : of the evaluation.
    clean, injections, detection, bounds : what was found. Kinds and strengths for which too few spectra
        could be injected are in ``injections`` alone.
    causes : what the selected ones were called.
    """

    schema: int
    model: str
    digest: str
    grid: str
    classes: tuple[str, ...]
    settings: EvaluationSettings
    clean: tuple[CleanShare, ...]
    injections: tuple[InjectionCount, ...]
    detection: tuple[Detection, ...]
    bounds: tuple[KindBound, ...]
    causes: JudgedCauses

    @property
    def bins(self) -> tuple[str, ...]:
        """Names of the bins of signal-to-noise ratio that hold clean spectra."""
        return tuple(dict.fromkeys(each.snr for each in self.clean if each.snr != ALL))

    def clean_share(self, snr: str, threshold: float) -> CleanShare:
        """The false alarms of that bin at that threshold."""
        return next(each for each in self.clean if (each.snr, each.threshold) == (snr, threshold))

    def cell(self, kind: str, strength: float, snr: str = ALL) -> Detection | None:
        """Detection of that kind, strength and bin, if there is one."""
        for each in self.detection:
            if (each.kind, each.strength, each.snr) == (kind, strength, snr):
                return each
        return None

    def mean_rate(self, strength: float, detector: str, rate: Literal["auc", "recall"]) -> float:
        """Mean over the kinds that are not held out, of all spectra; NaN where none was injected."""
        cells = (self.cell(kind, strength) for kind in self.settings.kinds if not AnomalyKind(kind).held_out)
        rates = [getattr(cell.by(detector), rate).value for cell in cells if cell is not None]
        return float(np.mean(rates)) if rates else math.nan

    def bound(self, kind: str, strength: float) -> KindBound | None:
        """The bounds of that kind and strength, if there are any."""
        for each in self.bounds:
            if (each.kind, each.strength) == (kind, strength):
                return each
        return None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description. What is not known is null."""
        described: dict[str, Any] = _plain(asdict(self))
        return described


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
