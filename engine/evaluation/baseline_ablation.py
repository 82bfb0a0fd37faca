"""Ablation of the baselines: how maps depend on their number, and on where they come from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.occlusion.attribution import WindowEffects, combined
from engine.attribution.occlusion.combine import COMBINATIONS
from engine.attribution.occlusion.inverse_occlusion import baselines_of, effects_into
from engine.attribution.occlusion.settings import CombinationName
from engine.attribution.subject import Subject, subject_of
from engine.evaluation.detectors import tail_probabilities
from engine.evaluation.explained_injections import ExplanationSettings
from engine.evaluation.explanation_summary import Estimate, mean, share
from engine.evaluation.injected_spectra import CleanSpectra
from engine.evaluation.localisation import InjectedPlace, Localisation, localise
from engine.evaluation.observed_baselines import observed_baselines
from models.errors import ConfigurationError, ErrorKind
from models.spectrum_model import SpectrumModel


@dataclass(frozen=True, slots=True)
class BaselineAblation:
    """What one number of baselines of one source gave, over all spectra.

    Attributes
    ----------
    source : ``decoded`` at random, ``nearest`` decoded ones, or ``observed`` spectra at hand.
    baselines : their number.
    combination : name of the combination over windows.
    located, auc : see :class:`engine.evaluation.localisation.Localisation`.
    repeats : correlation over pixels of the combined maps from two disjoint sets of baselines.
    """

    source: str
    baselines: int
    combination: str
    located: Estimate
    auc: Estimate
    repeats: Estimate

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""

        def plain(estimate: Estimate) -> list[float | None]:
            values = (estimate.value, estimate.low, estimate.high)
            return [float(f"{value:.6g}") if value == value else None for value in values]

        return {
            "source": self.source,
            "baselines": self.baselines,
            "combination": self.combination,
            "located": plain(self.located),
            "auc": plain(self.auc),
            "repeats": plain(self.repeats),
            "spectra": self.located.count,
        }


def ablate_baselines(
    model: SpectrumModel,
    clean: CleanSpectra,
    settings: ExplanationSettings,
    numbers: tuple[int, ...] = (5, 10, 20, 64),
    combinations: tuple[CombinationName, ...] = tuple(COMBINATIONS),
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[BaselineAblation]:
    """Explain injected spectra into baselines of every source, as many as ``numbers`` say.

    Of every kind the first ``settings.spectra`` are taken, at the last of ``settings.strengths``; or the
    first of those that the model detects, if ``settings.sampling`` says so. All numbers come from one
    occlusion into the most that any asks for: 64, or two disjoint sets of the largest but one.
    Observed baselines are the last spectra of ``clean``, which carry no anomaly here.

    Raises
    ------
    ConfigurationError : there are too few spectra or calibration spectra.
    """
    numbers = tuple(sorted(numbers))
    most = max(numbers[-1], 2 * numbers[-2] if len(numbers) > 1 else 0)
    if len(clean) <= most or model.calibration_size < most:
        raise ConfigurationError(
            "There are too few spectra to take baselines from.",
            where="number of baselines",
            got=f"{len(clean)} clean spectra, {model.calibration_size} calibration spectra",
            allowed=f"more than {most}",
            remedy="Simulate more spectra, or ask for fewer baselines.",
            kind=ErrorKind.BASELINE_NUMBERS,
        )
    model = copy.deepcopy(model).double()
    occlusion = replace(settings.occlusion, baselines=most)
    observed = np.arange(len(clean) - most, len(clean))
    sources: Mapping[str, Callable[[Subject], Tensor]] = {
        "decoded": lambda subject: baselines_of(subject, "random", occlusion),
        "nearest": lambda subject: baselines_of(subject, "nearest", occlusion),
        "observed": lambda subject: observed_baselines(subject, clean.normalised, observed, model.card.grid),
    }
    carriers = np.arange(len(clean) - most)
    found: dict[tuple[str, int, CombinationName], list[tuple[Localisation, float]]] = {}
    wavelength = model.card.grid.wavelength()
    injected = [clean.inject(kind, settings.strengths[-1], carriers) for kind in clean.kinds]
    if settings.sampling == "detected":
        tails = [tail_probabilities(model, each) for each in injected]
        injected = [each.take(tail <= settings.threshold) for each, tail in zip(injected, tails, strict=True)]
    injected = [each.take(slice(0, settings.spectra)) for each in injected]
    total, done = sum(len(each) for each in injected) * len(sources), 0
    for each in injected:
        for i in range(len(each)):
            redshift, memory = float(each.redshift[i]), settings.memory_bytes
            subject = subject_of(model, each.flux[i], each.ivar[i], redshift, memory_bytes=memory)
            place = InjectedPlace(wavelength, each.ivar[i] > 0, each.injected[i])
            for source, baselines in sources.items():
                effects = effects_into(subject, baselines(subject), occlusion)
                for number in numbers:
                    for name in combinations:
                        one = _one(effects, number, name, place)
                        found.setdefault((source, number, name), []).append(one)
                done += 1
                progress(done, total)
    return [
        BaselineAblation(
            source,
            number,
            name,
            share([one.located for one, _ in each]),
            mean([one.auc for one, _ in each]),
            mean([repeats for _, repeats in each]),
        )
        for (source, number, name), each in found.items()
    ]


def _one(
    effects: WindowEffects, number: int, name: CombinationName, place: InjectedPlace
) -> tuple[Localisation, float]:
    """The map from the first baselines, and its correlation with that from as many others."""
    first = combined(effects.of_baselines(slice(0, number)), name).combined
    if 2 * number > len(effects.baseline_scores):
        return localise(first, place), float("nan")
    second = combined(effects.of_baselines(slice(number, 2 * number)), name).combined
    return localise(first, place), _correlation(first[place.good], second[place.good])


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    if not first.std() > 0 or not second.std() > 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
