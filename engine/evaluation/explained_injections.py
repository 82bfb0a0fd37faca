"""Explained injections: every method of attribution on injected spectra, against what was injected."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution
from engine.attribution.baselines import BaselineSource
from engine.attribution.caution_criteria import CautionCriteria
from engine.attribution.gradient_times_input import GradientSettings
from engine.attribution.integrated_gradients import IntegratedGradientsSettings
from engine.attribution.memory import DEFAULT_MEMORY
from engine.attribution.method import MethodSettings
from engine.attribution.methods import method_of
from engine.attribution.occlusion.attribution import OcclusionAttribution, WindowEffects, combined
from engine.attribution.occlusion.combine import COMBINATIONS
from engine.attribution.occlusion.inverse_occlusion import baselines_of, effects_into
from engine.attribution.occlusion.method import OCCLUSION
from engine.attribution.occlusion.settings import (
    CombinationName,
    OcclusionSettings,
    PresetName,
    of_preset,
)
from engine.attribution.places import places_of
from engine.attribution.plain_occlusion import PlainOcclusionSettings
from engine.attribution.replacements import Replacement
from engine.attribution.residual import ResidualSettings
from engine.attribution.subject import Subject, subject_of
from engine.evaluation.blind_scorer import blind_subject, unseen_windows
from engine.evaluation.detectors import tail_probabilities
from engine.evaluation.explanation_results import ExplainedInjection, ExplanationResults, MethodCost
from engine.evaluation.injected_spectra import CleanSpectra, InjectedSpectra
from engine.evaluation.localisation import InjectedPlace, localise, overlaps, random_map
from engine.simulation.anomalies import AnomalyKind
from engine.spectra.scorer import device_tensor
from models.errors import ConfigurationError, ErrorKind
from models.spectrum_model import SpectrumModel

Floats = NDArray[np.floating]

PUBLISHED: CombinationName = "inverse-variance"
NEAREST = "nearest: "
"""What begins the names of maps whose baselines are not drawn, but those most like the spectrum."""
TILED: PresetName = "reference-code"
_REPLACEMENTS: tuple[Replacement, ...] = ("zero", "mean flux", "mean baseline")
_PREFIX: dict[BaselineSource, str] = {"random": "", "nearest": NEAREST}
_TIMED = 16


@dataclass(frozen=True, slots=True)
class ExplanationSettings:
    """How many injected spectra to explain, and how.

    Attributes
    ----------
    spectra : drawn of each kind and strength; as many again may come if too few of the drawn are detected.
    strengths : of the anomalies in sigma.
    threshold : tail probability at or below which a spectrum counts as detected.
    occlusion : of inverse multiscale occlusion, and widths for every method that has any. All combinations
        over windows are made from the effects of windows as it lays them.
    memory_bytes : what the occlusion of one spectrum may take.
    sampling : ``drawn``, whatever the model gives them; or ``detected``, only those that it detects.
    """

    spectra: int = 6
    strengths: tuple[float, ...] = (10.0, 20.0, 40.0)
    threshold: float = 0.01
    occlusion: OcclusionSettings = field(default_factory=OcclusionSettings)
    memory_bytes: int = DEFAULT_MEMORY
    sampling: Literal["drawn", "detected"] = "drawn"

    def __post_init__(self) -> None:
        if self.spectra < 1 or not self.strengths or self.occlusion.spacing == "tiled":
            raise ConfigurationError(
                "Settings of an evaluation of explanations are out of range.",
                where="explanation settings",
                got=self,
                allowed="spectra from 1, strengths, windows that overlap",
                remedy="Correct them.",
                kind=ErrorKind.EXPLANATION_SETTINGS,
            )


def evaluate_explanations(
    model: SpectrumModel,
    clean: CleanSpectra,
    settings: ExplanationSettings,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> ExplanationResults:
    """Explain injected spectra by every method and say how well each points at what was injected.

    Parameters
    ----------
    model : the scoring model; it is copied in float64, as explaining does.
    clean : spectra with the anomalies that can be injected.
    progress : called with spectra done and in all.

    Raises
    ------
    BugError : an explanation blames pixels that a blind scorer does not see.
    """
    evaluation = _Evaluation(copy.deepcopy(model).double(), settings)
    samples = [
        each
        for kind in clean.kinds
        for strength in settings.strengths
        if len((each := evaluation.sample(clean, kind, strength)).injected)
    ]
    total = sum(len(each.injected) for each in samples)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    spectra = [spectrum for sample in samples for spectrum in evaluation.explain(sample, step)]
    return ExplanationResults(
        model=model.card.name,
        digest=model.card.digest,
        settings=asdict(settings),
        threshold=settings.threshold,
        spectra=tuple(spectra),
        unseen=evaluation.unseen,
        cost=evaluation.costs(),
        pass_seconds=evaluation.pass_seconds(clean),
    )


@dataclass(frozen=True)
class _Sample:
    """Injected spectra to explain, (n,): their tail probabilities, and whether each was drawn blindly."""

    injected: InjectedSpectra
    tail: Floats
    drawn: NDArray[np.bool_]


@dataclass(frozen=True)
class _Compared:
    """A method that is compared with occlusion.

    Attributes
    ----------
    name : of its map, or of the family of its maps.
    cost : what its cost is listed as.
    settings : of the method.
    """

    name: str
    cost: str
    settings: MethodSettings


@dataclass(frozen=True)
class _Explained:
    """One spectrum explained by every method.

    Attributes
    ----------
    maps : (N,) by name.
    window : by combination over windows, the width in pixels that adds most at the peak.
    run : what a run would store.
    """

    maps: dict[str, Floats]
    window: dict[str, int]
    run: OcclusionAttribution


class _Evaluation:
    """A model in float64, and the seconds that methods took."""

    def __init__(self, model: SpectrumModel, settings: ExplanationSettings) -> None:
        self._model = model
        self._settings = settings
        self._wavelength = model.card.grid.wavelength()
        self._criteria = CautionCriteria(model.card)
        self._seconds: dict[str, list[float]] = {}
        occlusion = settings.occlusion
        windows, baselines, seed = occlusion.windows, occlusion.baselines, occlusion.seed
        paths = IntegratedGradientsSettings(baselines, seed)
        self._tiled = of_preset(TILED, windows=windows, baselines=baselines, seed=seed)
        self._signed = (
            _Compared("gradient x input", "gradient x input", GradientSettings()),
            _Compared("integrated gradients", "integrated gradients", paths),
        )
        self._by_scale = (
            *(
                _Compared(
                    f"occlusion by {replacement}",
                    "plain occlusion",
                    PlainOcclusionSettings(replacement, windows, baselines, seed),
                )
                for replacement in _REPLACEMENTS
            ),
            _Compared("residual", "residual", ResidualSettings(windows)),
        )
        self.unseen = 0

    def sample(self, clean: CleanSpectra, kind: AnomalyKind, strength: float) -> _Sample:
        """The first spectra if these are asked for, and detected ones until as many of these are there."""
        wanted = self._settings.spectra
        injected = clean.inject(kind, strength)
        tail = tail_probabilities(self._model, injected)
        drawn = np.arange(len(injected)) < (wanted if self._settings.sampling == "drawn" else 0)
        detected = tail <= self._settings.threshold
        chosen = drawn | (detected & (np.cumsum(detected) <= wanted))
        return _Sample(injected.take(chosen), tail[chosen], drawn[chosen])

    def explain(self, sample: _Sample, step: Callable[[], None]) -> Iterator[ExplainedInjection]:
        """Explain the spectra of one kind and strength, and see what each method points at."""
        injected = sample.injected
        for i in range(len(injected)):
            flux, ivar, redshift = injected.flux[i], injected.ivar[i], float(injected.redshift[i])
            subject = self._subject(flux, ivar, redshift)
            place = InjectedPlace(self._wavelength, ivar > 0, injected.injected[i])
            explained = self._explained(subject, seed=int(injected.row[i]))
            residual = flux - subject.reconstruction.numpy()
            places = places_of(explained.run, residual, ivar, self._model.card.grid, redshift)
            first = places[0] if places else None
            if i == 0:
                self._check_blind(subject, injected.injected[i])
            yield ExplainedInjection(
                kind=injected.kind,
                strength=injected.strength,
                row=int(injected.row[i]),
                redshift=redshift,
                snr=float(injected.snr[i]),
                tail_probability=float(sample.tail[i]),
                drawn=bool(sample.drawn[i]),
                area=place.area,
                chance=place.chance,
                width=float(injected.peak_width_angstrom[i]),
                found={name: localise(each, place) for name, each in explained.maps.items()},
                window=explained.window,
                run_located=localise(explained.run.combined, place).located,
                place_located=first is not None
                and overlaps(first, injected.injected[i], self._model.card.grid),
                place_width=first.width if first else float("nan"),
                cautions=int(self._criteria.cautions(explained.run, flux, ivar, redshift)),
            )
            step()

    def costs(self) -> dict[str, MethodCost]:
        """What the methods took."""
        pixels, occlusion = len(self._wavelength), self._settings.occlusion
        passes = {f"{prefix}occlusion": OCCLUSION.passes(occlusion, pixels) for prefix in _PREFIX.values()}
        passes[TILED] = OCCLUSION.passes(self._tiled, pixels)
        for each in (*self._signed, *self._by_scale):
            passes[each.cost] = method_of(each.settings).passes(each.settings, pixels)
        return {
            name: MethodCost(passes[name], statistics.median(taken)) for name, taken in self._seconds.items()
        }

    def pass_seconds(self, clean: CleanSpectra) -> float:
        """Seconds of one spectrum through the model, the quickest of three batches."""
        spectra = clean.normalised
        flux = device_tensor(spectra.flux[np.zeros(_TIMED, dtype=np.int64)], torch.device("cpu")).double()
        ivar = device_tensor(spectra.ivar[0], torch.device("cpu")).double()
        taken = []
        with torch.no_grad():
            log_prob = self._model.conditioned(flux[0], ivar, float(spectra.rows["redshift"][0]))
            for _ in range(3):
                start = time.perf_counter()
                log_prob(flux)
                taken.append(time.perf_counter() - start)
        return min(taken) / _TIMED

    def _explained(self, subject: Subject, seed: int) -> _Explained:
        occlusion = self._settings.occlusion
        maps: dict[str, Floats] = {}
        window: dict[str, int] = {}
        own = occlusion.baseline_source
        with self._timed(f"{_PREFIX[own]}occlusion"):
            run = OCCLUSION.attribute(subject, occlusion)
        by_window: dict[str, Floats] = {}
        for source, prefix in _PREFIX.items():
            effects = run.window_effects if source == own else self._timed_effects(subject, source)
            for name in COMBINATIONS:
                found = combined(effects, name)
                maps[prefix + name], window[prefix + name] = found.combined, found.peak_scale
            by_window |= _by_scale(f"{prefix}window", combined(effects, PUBLISHED))
        tiled = self._attribution(_Compared(TILED, TILED, self._tiled), subject)
        maps |= {**by_window, TILED: tiled.combined}
        window[TILED] = tiled.peak_scale
        signed = {each.name: self._attribution(each, subject).combined for each in self._signed}
        maps |= {**signed, **{f"|{name}|": np.abs(each) for name, each in signed.items()}}
        for each in self._by_scale:
            maps |= _by_scale(each.name, self._attribution(each, subject))
        maps["random"] = random_map(subject.good.numpy(), seed)
        return _Explained(maps, window, run)

    def _attribution(self, compared: _Compared, subject: Subject) -> Attribution:
        with self._timed(compared.cost):
            return method_of(compared.settings).attribute(subject, compared.settings)

    def _check_blind(self, subject: Subject, unseen: NDArray[np.bool_]) -> None:
        blind = blind_subject(self._model, subject, unseen)
        effects = OCCLUSION.attribute(blind, self._tiled).window_effects
        self.unseen += unseen_windows(effects, unseen)

    def _subject(self, flux: NDArray[np.float32], ivar: NDArray[np.float32], redshift: float) -> Subject:
        return subject_of(self._model, flux, ivar, redshift, memory_bytes=self._settings.memory_bytes)

    def _timed_effects(self, subject: Subject, source: BaselineSource) -> WindowEffects:
        occlusion = self._settings.occlusion
        with self._timed(f"{_PREFIX[source]}occlusion"):
            return effects_into(subject, baselines_of(subject, source, occlusion), occlusion)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._seconds.setdefault(name, []).append(time.perf_counter() - start)


def _by_scale(family: str, attribution: Attribution) -> dict[str, Floats]:
    pairs = zip(attribution.scales.tolist(), attribution.maps, strict=True)
    return {f"{family} {scale}": each for scale, each in pairs}
