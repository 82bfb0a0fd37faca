"""Detectors of a benchmark: what says how odd a spectrum is, by one function, and how often it is right.

A detector is a function of flux (n, N), ivar (n, N) and redshift (n,) that returns numbers (n,), the higher
the odder. Flux is as the model sees it: on its grid, divided by its median at rest, 0 where ivar is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.benchmark.judged_spectra import JudgedSpectrum
from engine.evaluation.detectors import SCORE, TAIL
from engine.evaluation.injected_spectra import InjectedSpectra
from engine.evaluation.rates import bootstrap
from engine.evaluation.rivals import RIVALS, Rivals
from engine.spectra.scorer import as_float32
from models.signal_to_noise import signal_to_noise
from models.spectrum_model import SpectrumModel

DetectorFunction = Callable[
    [NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]], NDArray[np.floating]
]

FALSE_POSITIVES = 0.01
OWN_DETECTORS = (TAIL, SCORE, *RIVALS)
"""Minus the log of the model's tail probability, its score, and its rivals of ``whyspec evaluate``."""
_AT_ONCE = 64
_LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class DetectorRate:
    """How well one detector tells spectra with anomalies of one strength from their clean twins.

    Attributes
    ----------
    model : name of the model whose spectra these are; detector : name.
    strength : sigma of the whole change; per_pixel : median sigma of one injected pixel.
    spectra : their number.
    auc, recall : with 95 % intervals; recall at 1 % false positives.
    """

    model: str
    detector: str
    strength: float
    per_pixel: float
    spectra: int
    auc: float
    auc_low: float
    auc_high: float
    recall: float
    recall_low: float
    recall_high: float


def own_detector(name: str, model: SpectrumModel, rivals: Callable[[], Rivals]) -> DetectorFunction:
    """One of :data:`OWN_DETECTORS`; ``rivals`` are learnt only if it is one of them."""
    if name in RIVALS:
        learnt, column = rivals(), RIVALS.index(name)
        return lambda flux, ivar, redshift: learnt.values(flux, ivar, redshift)[:, column]
    return lambda flux, ivar, redshift: _of_model(model, flux, ivar, redshift)[name]


def _of_model(
    model: SpectrumModel,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    redshift: NDArray[np.float64],
) -> Mapping[str, NDArray[np.floating]]:
    spectra, weight = torch.tensor(flux), torch.tensor(ivar)
    with torch.inference_mode():
        outputs = model.outputs(spectra, weight, torch.tensor(redshift))
        snr = signal_to_noise(spectra, weight)
    score = as_float32(outputs.score)
    with np.errstate(divide="ignore"):
        tail = -np.log(model.tail_probability(score, snr, redshift).astype(np.float64))
    return {TAIL: tail, SCORE: score}


def detector_rates(
    model: str,
    tried: Sequence[JudgedSpectrum],
    detectors: Mapping[str, DetectorFunction],
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[DetectorRate, ...]:
    """Of every detector at every strength; NaN counts as not odd at all."""
    strengths = np.array([each.strength for each in tried])
    per_pixel = np.array([each.per_pixel for each in tried])
    found = []
    for place, (name, detector) in enumerate(detectors.items()):
        progress(place, len(detectors))
        odd, clean = _values(detector, tried)
        for strength in np.unique(strengths).tolist():
            of_it = strengths == strength
            auc, recall = bootstrap(odd[of_it], clean[of_it], FALSE_POSITIVES, int(of_it.sum()))
            found.append(
                DetectorRate(
                    model, name, strength, float(np.median(per_pixel[of_it])), int(of_it.sum()),
                    auc.value, auc.low, auc.high, recall.value, recall.low, recall.high,
                )
            )  # fmt: skip
    return tuple(found)


def _values(
    detector: DetectorFunction, tried: Sequence[JudgedSpectrum]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """With the anomaly and without, (n,) each."""
    parts = [tried[low : low + _AT_ONCE] for low in range(0, len(tried), _AT_ONCE)]
    return (
        _finite([_asked(detector, [each.injected for each in part], "flux", "ivar") for part in parts]),
        _finite(
            [_asked(detector, [each.injected for each in part], "clean_flux", "clean_ivar") for part in parts]
        ),
    )


def _asked(
    detector: DetectorFunction, spectra: Sequence[InjectedSpectra], flux: str, ivar: str
) -> NDArray[np.float64]:
    given = [np.concatenate([getattr(each, name) for each in spectra]) for name in (flux, ivar, "redshift")]
    return np.asarray(detector(given[0], given[1], given[2]), dtype=np.float64)


def _finite(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.nan_to_num(np.concatenate(parts), nan=-_LARGEST, posinf=_LARGEST, neginf=-_LARGEST)
