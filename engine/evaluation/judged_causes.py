"""Judged causes: what the model calls those injected spectra that it selects, against what was injected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from engine.attribution.cause import NO_CAUSE, Cause, cause_of
from engine.evaluation.injected_spectra import InjectedSpectra
from engine.evaluation.rates import Estimate, area_under_curve, share
from engine.simulation.anomalies import AnomalyKind
from models.causes.names import CAUSES, UNKNOWN
from models.spectrum_model import SpectrumModel

RIGHT_CAUSES: Mapping[AnomalyKind, str] = MappingProxyType(
    {
        AnomalyKind.COSMIC_RAYS: "single_pixels",
        AnomalyKind.SKY_RESIDUALS: "sky_residuals",
        AnomalyKind.SECOND_REDSHIFT: "second_redshift",
        AnomalyKind.BROAD_SHIFTED_LINES: "broad_lines",
        AnomalyKind.DOUBLE_PEAKED_LINES: "split_lines",
        AnomalyKind.ARM_STEP: "arm_step",
        AnomalyKind.BROAD_ABSORPTION: "trough",
        AnomalyKind.DEAD_REGION: "dead_interval",
    }
)
"""The cause that is right for a kind. For kinds that are not here, and where models know no such cause, it is
``UNKNOWN``."""

BINS = 10
"""Of the probability, each a tenth wide, for the error of its calibration."""
_AT_ONCE = 64


def right_cause(kind: AnomalyKind) -> str:
    """The cause that a model should name."""
    cause = RIGHT_CAUSES.get(kind, UNKNOWN)
    return cause if cause in CAUSES else UNKNOWN


@dataclass(frozen=True)
class NamedCause:
    """What one selected spectrum was called."""

    kind: AnomalyKind
    cause: Cause


@dataclass(frozen=True)
class KindCauses:
    """What the selected spectra of one kind were called, all strengths together.

    Attributes
    ----------
    kind : of the anomaly.
    selected : number of spectra.
    right : name of the right cause.
    rightly : share of them that were called so.
    named : number of spectra by cause, in the order of ``CAUSES``, unknown last; all of them are there.
    """

    kind: str
    selected: int
    right: str
    rightly: Estimate
    named: Mapping[str, int]


@dataclass(frozen=True)
class ProbabilityBin:
    """Selected spectra whose cause has a probability in one tenth, and how often it was right."""

    low: float
    high: float
    spectra: int
    mean_probability: float
    rightly: float


@dataclass(frozen=True)
class JudgedCauses:
    """Causes of all selected spectra of an evaluation.

    Attributes
    ----------
    kinds : a row for each kind.
    instrument_auc : chance that the probability of instrument, sky or reduction is higher of a spectrum with
        an anomaly made there than of one whose light is odd; NaN without both.
    calibration_error : mean over the spectra of the distance between probability and share of right causes,
        taken in ten bins (expected calibration error); NaN without spectra.
    bins : from which it comes; empty bins are left out.
    """

    kinds: tuple[KindCauses, ...]
    instrument_auc: float
    calibration_error: float
    bins: tuple[ProbabilityBin, ...]


def named_causes(
    model: SpectrumModel, injected: InjectedSpectra, selected: NDArray[np.bool_]
) -> list[NamedCause]:
    """What the model calls the ``selected`` (n,) ones of injected spectra."""
    kind, chosen = AnomalyKind(injected.kind), injected.take(selected)
    found = []
    for low in range(0, len(chosen), _AT_ONCE):
        part = chosen.take(slice(low, low + _AT_ONCE))
        with torch.inference_mode():
            probabilities = model.cause_probabilities(
                *(torch.from_numpy(values) for values in (part.flux, part.ivar, part.redshift))
            )
        if probabilities is None:
            found += [NamedCause(kind, NO_CAUSE)] * len(part)
            continue
        found += [NamedCause(kind, cause_of(row)) for row in probabilities.double().numpy()]
    return found


def judge_causes(named: Iterable[NamedCause], kinds: Iterable[AnomalyKind]) -> JudgedCauses:
    """Count, for each of ``kinds``, what its spectra were called."""
    every = list(named)
    by_kind = {kind: [each.cause for each in every if each.kind is kind] for kind in kinds}
    rows = []
    for kind, causes in by_kind.items():
        counts, right = Counter(each.name for each in causes), right_cause(kind)
        rightly = share(np.array([each.name == right for each in causes], dtype=bool))
        of_all = {name: counts[name] for name in (*CAUSES, UNKNOWN)}
        rows.append(KindCauses(kind.value, len(causes), right, rightly, of_all))
    probability = np.array([each.cause.probability for each in every])
    rightly_named = np.array([each.cause.name == right_cause(each.kind) for each in every], dtype=bool)
    bins = _bins(probability, rightly_named)
    errors = [each.spectra * abs(each.mean_probability - each.rightly) for each in bins]
    return JudgedCauses(
        tuple(rows), _instrument_auc(every), sum(errors) / len(every) if every else np.nan, bins
    )


def _instrument_auc(every: list[NamedCause]) -> float:
    of_source = np.array([each.cause.instrument for each in every if each.kind.astrophysical])
    others = np.array([each.cause.instrument for each in every if not each.kind.astrophysical])
    return area_under_curve(others, of_source) if len(of_source) and len(others) else np.nan


def _bins(probability: NDArray[np.float64], rightly: NDArray[np.bool_]) -> tuple[ProbabilityBin, ...]:
    number = np.clip((probability * BINS).astype(np.int64), 0, BINS - 1)
    found = []
    for each in np.unique(number).tolist():
        inside = number == each
        found.append(
            ProbabilityBin(
                each / BINS,
                (each + 1) / BINS,
                int(inside.sum()),
                float(probability[inside].mean()),
                float(rightly[inside].mean()),
            )
        )
    return tuple(found)
