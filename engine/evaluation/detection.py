"""Detection, one half of an evaluation: how well a model finds what was injected."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.detectors import DETECTORS, DetectorValues, detector_values
from engine.evaluation.ideal_observer import known_place, unknown_place, unknown_shape
from engine.evaluation.injected_spectra import CleanSpectra
from engine.evaluation.judged_causes import NamedCause, judge_causes, named_causes
from engine.evaluation.rates import bootstrap, share
from engine.evaluation.results import (
    ALL,
    SCHEMA,
    CleanShare,
    Detected,
    Detection,
    DetectionResults,
    EvaluationSettings,
    InjectionCount,
    KindBound,
)
from engine.evaluation.rivals import Rivals
from engine.simulation.anomalies import AnomalyKind
from models.spectrum_model import SpectrumModel

SNR_EDGES = (3.0, 8.0, 20.0)
"""Median signal-to-noise ratios per pixel, before injecting, that separate the bins."""
CLEAN_THRESHOLDS = (0.01, 0.001)
"""Tail probabilities at which false alarms are counted, besides that of the settings."""
LEAST_SPECTRA = 20
"""Of fewer spectra than this no rates are stated: they would mean nothing."""

Progress = Callable[[int, int], None]


def evaluate_detection(
    model: SpectrumModel,
    clean: CleanSpectra,
    rivals: Rivals,
    settings: EvaluationSettings,
    progress: Progress = lambda *_: None,
) -> DetectionResults:
    """Inject every kind at every strength, score, and compare with the same spectra without anomaly.

    Parameters
    ----------
    model : that the clean spectra were prepared for.
    clean : spectra, and what can be injected into them.
    rivals : trained on spectra of another seed.
    settings : kinds, strengths, seed.
    progress : called with (spectra scored, spectra to be scored).
    """
    kinds = tuple(AnomalyKind(name) for name in settings.kinds)
    done, total = 0, len(clean) * (1 + len(kinds) * len(settings.strengths))

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    normalised = clean.normalised
    values = detector_values(
        model, rivals, normalised.flux, normalised.ivar, normalised.rows["redshift"], advance
    )
    snr = normalised.rows["snr"]
    injections, detection, bounds = [], [], []
    causes: list[NamedCause] = []
    for kind in kinds:
        for strength in settings.strengths:
            injected = clean.inject(kind, strength)
            injections.append(_injection_count(clean, kind, strength, len(injected)))
            odd = detector_values(model, rivals, injected.flux, injected.ivar, injected.redshift, advance)
            advance(len(clean) - len(injected))
            causes += named_causes(model, injected, odd.tail_probability <= settings.threshold)
            detection += _cells(kind, strength, odd, values, injected.row, snr, settings)
        bounds += _bounds(clean, kind, settings)
    return DetectionResults(
        schema=SCHEMA,
        model=model.card.name,
        digest=model.card.digest,
        grid=model.card.grid.name,
        classes=model.card.classes,
        settings=settings,
        clean=tuple(
            CleanShare(
                name, threshold, int(inside.sum()), share(values.tail_probability[inside] <= threshold)
            )
            for threshold in dict.fromkeys((settings.threshold, *CLEAN_THRESHOLDS))
            for name, inside in _bins(snr)
            if inside.any()
        ),
        injections=tuple(injections),
        detection=tuple(detection),
        bounds=tuple(bounds),
        causes=judge_causes(causes, kinds),
    )


def _cells(
    kind: AnomalyKind,
    strength: float,
    odd: DetectorValues,
    without_any: DetectorValues,
    row: NDArray[np.int64],
    snr: NDArray[np.float32],
    settings: EvaluationSettings,
) -> list[Detection]:
    twins = without_any.take(row)
    with_it, without = odd.table(), twins.table()
    cells = []
    for name, inside in _bins(snr[row]):
        if inside.sum() < LEAST_SPECTRA:
            continue
        detected = tuple(
            Detected(
                detector,
                *bootstrap(
                    with_it[inside, column], without[inside, column], settings.false_positives, settings.seed
                ),
            )
            for column, detector in enumerate(DETECTORS)
        )
        selected = share(odd.tail_probability[inside] <= settings.threshold)
        cells.append(Detection(kind.value, strength, name, int(inside.sum()), selected, detected))
    return cells


def _bins(snr: NDArray[np.float32]) -> list[tuple[str, NDArray[np.bool_]]]:
    """All spectra, then those of each bin of signal-to-noise ratio."""
    edges = (0.0, *SNR_EDGES, np.inf)
    bins = [(ALL, np.ones(len(snr), dtype=bool))]
    for low, high in pairwise(edges):
        name = f"{low:g}-{high:g}" if np.isfinite(high) else f"{low:g}+"
        bins.append((name, (snr < high) & ((snr >= low) | (low == 0))))
    return bins


def _injection_count(
    clean: CleanSpectra, kind: AnomalyKind, strength: float, injected: int
) -> InjectionCount:
    no_place = sum(shape is None for shape in clean.shapes[kind])
    able = len(clean.carriers(kind, strength))
    return InjectionCount(
        kind.value, strength, injected, no_place, len(clean) - no_place - able, able - injected
    )


def _bounds(clean: CleanSpectra, kind: AnomalyKind, settings: EvaluationSettings) -> list[KindBound]:
    rows = clean.carriers(kind, 0.0)
    if not len(rows):
        return []
    changes = [shape.change for row in rows.tolist() if (shape := clean.shapes[kind][row]) is not None]
    ivar = clean.spectra.ivar[rows]
    whitened = np.array(changes) * np.sqrt(ivar)
    random = np.random.default_rng((settings.seed, *kind.value.encode()))
    strengths, share = settings.strengths, settings.false_positives
    of_shape = unknown_place(whitened, strengths, share, random)
    of_any = unknown_shape(whitened, ivar, strengths, share, random)
    return [
        KindBound(kind.value, strength, known_place(strength, share), *bounds)
        for strength, *bounds in zip(strengths, of_shape, of_any, strict=True)
    ]
