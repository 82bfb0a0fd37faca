"""Judging: one contender on one spectrum, by the measures of a benchmark."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from engine.attribution.agreement import rank_correlation
from engine.attribution.attribution import Attribution
from engine.attribution.memory import DEFAULT_MEMORY
from engine.attribution.places import places_of
from engine.attribution.subject import Subject, subject_of
from engine.benchmark.blind_half import BlindHalf, share_on
from engine.benchmark.contenders import Contender, Explain
from engine.benchmark.judged_spectra import JudgedSpectrum
from engine.benchmark.measures import Part, measures_of
from engine.benchmark.probes import Probes
from engine.benchmark.removal import Floats, Removal
from engine.benchmark.removal_curves import curve_measures
from engine.benchmark.stability import (
    change_of_form,
    noisier,
    relative_change,
    shuffled,
)
from engine.benchmark.truth import KnownWidth, truth_measures
from engine.evaluation.blind_scorer import blind_subject
from engine.evaluation.explanation_tables import WITHOUT_WIDTH
from engine.evaluation.localisation import InjectedPlace
from models.errors import ConfigurationError, QuarantineError
from models.spectrum_model import SpectrumModel

CONTROL_EXPLANATIONS = 8
"""Explanations that the controls of one spectrum take at most, beside the one that is judged."""
_SHUFFLE_SEED = 51
_NOISE_DRAWS = 2
_AT_ONCE = 32


@dataclass(frozen=True)
class Judgement:
    """What was measured of one map.

    Attributes
    ----------
    measures : by name; NaN where one does not apply or nothing was explained.
    seconds : of one processor, of the explanation alone.
    measuring : the same, of the measures of the map.
    failure : why there is no explanation; empty if there is one.
    """

    measures: Mapping[str, float]
    seconds: float
    measuring: float = 0.0
    failure: str = ""


class Judge:
    """A model, and what is made of it once.

    Parameters
    ----------
    model : the scoring model. It is copied in float64, as explaining does. Curves and probes ask the model as
        it is, in float32, which is several times as fast; they measure changes far above its rounding.
    memory_bytes : what the attribution of one spectrum may take.
    """

    def __init__(self, model: SpectrumModel, memory_bytes: int = DEFAULT_MEMORY) -> None:
        self._quick = model
        self.model = copy.deepcopy(model).double()
        self._memory = memory_bytes

    @cached_property
    def shuffled(self) -> SpectrumModel:
        """The model whose weights mean nothing."""
        return shuffled(self.model, _SHUFFLE_SEED)

    def case(self, spectrum: JudgedSpectrum) -> Case:
        """The spectrum, ready to be explained."""
        injected = spectrum.injected
        flux, ivar, redshift = injected.flux[0], injected.ivar[0], float(injected.redshift[0])
        return Case(self, spectrum, flux, ivar, redshift)

    def subject(self, flux: NDArray[np.float32], ivar: NDArray[np.float32], redshift: float) -> Subject:
        """A spectrum and the model."""
        return subject_of(self.model, flux, ivar, redshift, memory_bytes=self._memory)

    def scores(self, flux: NDArray[np.float32], ivar: NDArray[np.float32], redshift: float) -> _QuickScores:
        """Of spectra that differ from this one in some pixels."""
        return _QuickScores(self._quick, flux, ivar, redshift)


class _QuickScores:
    """Scores in single precision, of spectra (B, N)."""

    def __init__(
        self, model: SpectrumModel, flux: NDArray[np.float32], ivar: NDArray[np.float32], redshift: float
    ) -> None:
        with torch.no_grad():
            self._log_prob = model.conditioned(torch.tensor(flux), torch.tensor(ivar), redshift)

    def __call__(self, spectra: Floats) -> NDArray[np.float64]:
        given = torch.tensor(spectra, dtype=torch.float32)
        with torch.no_grad():
            found = torch.cat([self._log_prob(part) for part in torch.split(given, _AT_ONCE)])
        return np.asarray(-found.double().numpy())


@dataclass(frozen=True, eq=False)
class Case:
    """One judged spectrum with its model.

    Attributes
    ----------
    flux, ivar : (N,) as scored; redshift : of the spectrum.
    explanations : of the methods that were asked already, by name: each, or why there is none.
    """

    judge: Judge
    spectrum: JudgedSpectrum
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    redshift: float
    explanations: dict[str, tuple[Attribution | None, str]] = field(default_factory=dict)

    @cached_property
    def subject(self) -> Subject:
        """What methods explain."""
        return self.judge.subject(self.flux, self.ivar, self.redshift)

    @property
    def injected(self) -> NDArray[np.bool_]:
        """(N,), where the anomaly is."""
        found: NDArray[np.bool_] = self.spectrum.injected.injected[0]
        return found

    @cached_property
    def place(self) -> InjectedPlace:
        """The truth."""
        return InjectedPlace(self.judge.model.card.grid.wavelength(), self.ivar > 0, self.injected)

    @cached_property
    def removal(self) -> Removal:
        """Pixels of it can be replaced by the model's reconstruction."""
        scores = self.judge.scores(self.flux, self.ivar, self.redshift)
        replacement = self.subject.reconstruction.float().numpy()
        return Removal(self.flux, replacement, self.ivar > 0, scores)

    @cached_property
    def probes(self) -> Probes:
        """The same for all methods."""
        return Probes.of(self.removal, self.spectrum.number)

    def judged(self, contender: Contender) -> Judgement:
        """By the measures of the parts ``truth`` and ``faithfulness``."""
        start = time.process_time()
        found, failure = self._explained(contender)
        seconds = time.process_time() - start
        if found is None:
            return Judgement(_nothing("truth", "faithfulness"), seconds, failure=failure)
        measures = self._truth(found) | curve_measures(found.combined, self.removal)
        measures |= self.probes.measures(found.combined)
        return Judgement(measures, seconds, time.process_time() - start - seconds)

    def controlled(self, contender: Contender) -> Judgement:
        """By the measures of the part ``controls``; NaN those of a changed model, of what asks no model."""
        start = time.process_time()
        found, failure = self._explained(contender)
        if found is None:
            return Judgement(_nothing("controls"), time.process_time() - start, failure=failure)
        measures = _nothing("controls") | self._stability(contender, found.combined)
        if contender.asks_the_model:
            measures |= self._changed_model(contender, found.combined)
        return Judgement(measures, time.process_time() - start)

    def _explained(self, contender: Contender) -> tuple[Attribution | None, str]:
        """The explanation, or why there is none; made once."""
        if contender.name not in self.explanations:
            self.explanations[contender.name] = _tried(contender.explain, self.subject)
        return self.explanations[contender.name]

    def _truth(self, found: Attribution) -> dict[str, float]:
        injected, grid = self.spectrum.injected, self.judge.model.card.grid
        residual = self.flux - self.subject.reconstruction.numpy()
        places = places_of(found, residual, self.ivar, grid, self.redshift)
        width = math.nan if injected.kind in WITHOUT_WIDTH else float(injected.peak_width_angstrom[0])
        known = KnownWidth(self.injected, width)
        return truth_measures(found.combined, found.peak_pixel, places, self.place, known, grid)

    def _stability(self, contender: Contender, own: Floats) -> dict[str, float]:
        seeds = (self.spectrum.number * _NOISE_DRAWS + draw for draw in range(_NOISE_DRAWS))
        noisy = [self._map(contender.explain, noisier(self.flux, self.ivar, seed)) for seed in seeds]
        others = [_map(each, self.subject) for each in contender.neighbours]
        return {
            "noise_sensitivity": _largest(relative_change(own, each) for each in noisy),
            "settings_sensitivity": _largest(change_of_form(own, each) for each in others),
            "input_dependence": self._input_dependence(contender, own),
        }

    def _input_dependence(self, contender: Contender, own: Floats) -> float:
        clean = self.spectrum.injected
        twin = self.judge.subject(clean.clean_flux[0], clean.clean_ivar[0], self.redshift)
        without = _map(contender.explain, twin)
        sums = float(own[self.injected].sum()), float(without[self.injected].sum())
        return math.nan if any(map(math.isnan, sums)) else float(sums[0] > sums[1])

    def _changed_model(self, contender: Contender, own: Floats) -> dict[str, float]:
        good = self.place.good
        meaningless = subject_of(
            self.judge.shuffled, self.flux, self.ivar, self.redshift, memory_bytes=self.subject.memory_bytes
        )
        other = _map(contender.explain, meaningless)
        blind = _map(contender.explain, blind_subject(self.judge.model, self.subject, self.injected))
        half = BlindHalf.of(self.flux, self.ivar, self.spectrum.injected.change[0], self.spectrum.number)
        loud = replace(self.subject, flux=torch.tensor(half.flux))
        half_seen = blind_subject(self.judge.model, loud, half.unseen)
        return {
            "random_weights": abs(rank_correlation(np.abs(np.stack([own[good], other[good]])))),
            "model_contrast": share_on(own, self.injected) - share_on(blind, self.injected),
            **half.measures(_map(contender.explain, half_seen), good, contender.widest),
        }

    def _map(self, explain: Explain, flux: NDArray[np.float32]) -> Floats:
        return _map(explain, self.judge.subject(flux, self.ivar, self.redshift))


def _tried(explain: Explain, subject: Subject) -> tuple[Attribution | None, str]:
    """The explanation, or why there is none."""
    try:
        return explain(subject), ""
    except (QuarantineError, ConfigurationError) as error:
        return None, f"{error.what} {error.got}"


def _map(explain: Explain, subject: Subject) -> Floats:
    """(N,); NaN throughout where there is no explanation."""
    found, _ = _tried(explain, subject)
    return np.full(len(subject.flux), np.nan) if found is None else found.combined


def _largest(values: Iterable[float]) -> float:
    """Of some numbers, NaN left out; NaN of none."""
    return max((each for each in values if not math.isnan(each)), default=math.nan)


def _nothing(*parts: Part) -> dict[str, float]:
    return {each.name: float("nan") for each in measures_of(*parts)}
