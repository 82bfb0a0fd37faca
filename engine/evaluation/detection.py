"""Detection, one half of an evaluation: how well a model finds what was injected."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.detectors import DETECTORS, DetectorValues, detector_values
from engine.evaluation.effective_strength import TEMPLATES, effective_strengths
from engine.evaluation.ideal_observer import known_covariance, known_place, unknown_place, unknown_shape
from engine.evaluation.injected_spectra import CleanSpectra, InjectedSpectra
from engine.evaluation.judged_causes import NamedCause, judge_causes, named_causes
from engine.evaluation.learnt import Learnt
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
    learnt: Learnt,
    settings: EvaluationSettings,
    progress: Progress = lambda *_: None,
) -> DetectionResults:
    """Inject every kind at every strength, score, and compare with the same spectra without anomaly.

    Parameters
    ----------
    model : that the clean spectra were prepared for.
    clean : spectra, and what can be injected into them.
    learnt : from spectra of another seed.
    settings : kinds, strengths, seed.
    progress : called with (spectra scored, spectra to be scored).
    """
    kinds = tuple(AnomalyKind(name) for name in settings.kinds)
    done, total = 0, len(clean) * (1 + len(kinds) * len(settings.strengths))

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    normalised, rivals = clean.normalised, learnt.rivals
    values = detector_values(
        model, rivals, normalised.flux, normalised.ivar, normalised.rows["redshift"], advance
    )
    snr = normalised.rows["snr"]
    effective = effective_strengths(clean, learnt.population)
    injections, detection, bounds = [], [], []
    causes: list[NamedCause] = []
    for kind in kinds:
        for strength in settings.strengths:
            injected = clean.inject(kind, strength)
            injections.append(_injection_count(clean, kind, strength, len(injected)))
            odd = detector_values(model, rivals, injected.flux, injected.ivar, injected.redshift, advance)
            advance(len(clean) - len(injected))
            causes += named_causes(model, injected, odd.tail_probability <= settings.threshold)
            detection += _cells(injected, odd, values, effective[kind], snr, settings)
        bounds += _bounds(clean, kind, effective[kind], settings)
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
    injected: InjectedSpectra,
    odd: DetectorValues,
    without_any: DetectorValues,
    effective: NDArray[np.float64],
    snr: NDArray[np.float32],
    settings: EvaluationSettings,
) -> list[Detection]:
    row, strength = injected.row, injected.strength
    twins = without_any.take(row)
    per_pixel = strength / np.sqrt(injected.injected.sum(axis=1))
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
        cells.append(
            Detection(
                kind=injected.kind,
                strength=strength,
                snr=name,
                spectra=int(inside.sum()),
                per_pixel=float(np.median(per_pixel[inside])),
                effective=float(strength * np.median(effective[row][inside])),
                selected=selected,
                detectors=detected,
            )
        )
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


def _bounds(
    clean: CleanSpectra, kind: AnomalyKind, effective: NDArray[np.float64], settings: EvaluationSettings
) -> list[KindBound]:
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
    of_covariance = known_covariance(effective[rows], TEMPLATES[kind], strengths, share, random)
    return [
        KindBound(kind.value, strength, known_place(strength, share), *bounds)
        for strength, *bounds in zip(strengths, of_shape, of_any, of_covariance, strict=True)
    ]
