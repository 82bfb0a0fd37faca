"""Every method of attribution on injected spectra, judged by what was injected."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.gradients import PATH_STEPS, gradient_times_input, integrated_gradients
from engine.attribution.occlusion.attribution import Attribution, WindowEffects, combined, forward_passes
from engine.attribution.occlusion.combine import PRESETS, Preset
from engine.attribution.occlusion.settings import OcclusionSettings, PresetName
from engine.attribution.plain_occlusion import plain_occlusion
from engine.attribution.residuals import residual_map
from engine.attribution.signature_criteria import SignatureCriteria
from engine.attribution.subject import Subject, effects_of, subject_of
from engine.evaluation.baseline_sources import decoded_baselines, nearest_baselines
from engine.evaluation.blind_scorer import blind_subject, unseen_windows
from engine.evaluation.combinations import AGAINST_NORMAL, COMBINATIONS, NormalResponse
from engine.evaluation.detectors import tail_probabilities
from engine.evaluation.injected_spectra import InjectedSpectra, PlantingGround
from engine.evaluation.judged_spectra import JudgedSpectrum, Judgement, MethodCost
from engine.evaluation.localisation import InjectedPlace, localise, random_map
from engine.simulation.anomalies import AnomalyKind
from engine.spectra.scorer import device_tensor
from models.errors import ConfigurationError, ErrorKind
from models.spectrum_model import SpectrumModel

Floats = NDArray[np.floating]

PUBLISHED = "1/sigma^2"
NEAREST = "nearest: "
"""What begins the names of maps whose baselines are not drawn, but those most like the spectrum."""
TILED: PresetName = "reference-code"
GRADIENT_PASSES = 3
"""Forward passes that one pass with gradient is counted as."""
_TIMED = 16


@dataclass(frozen=True, slots=True)
class ExplanationSettings:
    """How many injected spectra to explain, and how.

    Attributes
    ----------
    spectra : drawn of each kind and strength; as many again may come if too few of the drawn are detected.
    strengths : of the anomalies in sigma.
    threshold : tail probability at or below which a spectrum counts as detected.
    normal : clean spectra explained to know what windows do in them.
    occlusion : of inverse multiscale occlusion, and widths for every method that has any. All combinations
        over windows are made from the effects of windows as its preset lays them.
    memory_bytes : what the occlusion of one spectrum may take.
    sampling : ``drawn``, whatever the model gives them; or ``detected``, only those that it detects.
    """

    spectra: int = 6
    strengths: tuple[float, ...] = (10.0, 20.0, 40.0)
    threshold: float = 0.01
    normal: int = 12
    occlusion: OcclusionSettings = field(default_factory=OcclusionSettings)
    memory_bytes: int = 2**28
    sampling: Literal["drawn", "detected"] = "drawn"

    def __post_init__(self) -> None:
        positive = min(self.spectra, self.normal) >= 1
        if not positive or not self.strengths or self.occlusion.preset == TILED:
            raise ConfigurationError(
                "Settings of an evaluation of explanations are out of range.",
                where="explanation settings",
                got=self,
                allowed="spectra and normal from 1, strengths, windows that overlap",
                remedy="Correct them.",
                kind=ErrorKind.EXPLANATION_SETTINGS,
            )


def judge_explanations(
    model: SpectrumModel,
    ground: PlantingGround,
    settings: ExplanationSettings,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Judgement:
    """Explain injected spectra by every method and say how well each points at what was injected.

    Parameters
    ----------
    model : the scoring model; it is copied in float64, as explaining does.
    ground : clean spectra with the anomalies that can be injected. The last ``settings.normal`` serve as
        normal ones, the others carry anomalies, so that no spectrum is both.
    progress : called with spectra done and in all.

    Raises
    ------
    ConfigurationError : there are no clean spectra beside the normal ones.
    BugError : an explanation blames pixels that a blind scorer does not see.
    """
    carriers = np.arange(len(ground) - settings.normal)
    if not len(carriers):
        raise ConfigurationError(
            "There are too few clean spectra to explain.",
            where="explanation settings",
            got=f"{len(ground)} spectra",
            allowed=f"more than the {settings.normal} that serve as normal ones",
            remedy="Simulate more.",
            kind=ErrorKind.EXPLANATION_SETTINGS,
        )
    judge = _Judge(copy.deepcopy(model).double(), settings)
    samples = [
        each
        for kind in ground.kinds
        for strength in settings.strengths
        if len((each := judge.sample(ground, kind, strength, carriers)).injected)
    ]
    total = settings.normal + sum(len(each.injected) for each in samples)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    judge.learn_normal(ground, step)
    judged = [spectrum for sample in samples for spectrum in judge.judge(sample, step)]
    return Judgement(
        model=model.card.name,
        digest=model.card.digest,
        settings=asdict(settings),
        threshold=settings.threshold,
        spectra=tuple(judged),
        unseen=judge.unseen,
        cost=judge.costs(),
        pass_seconds=judge.pass_seconds(ground),
    )


@dataclass(frozen=True)
class _Sample:
    """Injected spectra to explain, (n,): their tail probabilities, and whether each was drawn blindly."""

    injected: InjectedSpectra
    tail: Floats
    drawn: NDArray[np.bool_]


class _Judge:
    """A model in float64, the normal response, and the seconds that methods took."""

    def __init__(self, model: SpectrumModel, settings: ExplanationSettings) -> None:
        self._model = model
        self._settings = settings
        self._wavelength = model.card.grid.wavelength()
        self._chosen = settings.occlusion.draw(model.calibration_size)
        self._criteria = SignatureCriteria(model.card, settings.occlusion)
        self._combinations: dict[str, Preset] = dict(COMBINATIONS)
        self._seconds: dict[str, list[float]] = {}
        self.unseen = 0

    def sample(
        self, ground: PlantingGround, kind: AnomalyKind, strength: float, carriers: NDArray[np.int64]
    ) -> _Sample:
        """The first spectra if these are asked for, and detected ones until as many of these are there."""
        wanted = self._settings.spectra
        injected = ground.inject(kind, strength, carriers)
        tail = tail_probabilities(self._model, injected)
        drawn = np.arange(len(injected)) < (wanted if self._settings.sampling == "drawn" else 0)
        detected = tail <= self._settings.threshold
        chosen = drawn | (detected & (np.cumsum(detected) <= wanted))
        return _Sample(injected.take(chosen), tail[chosen], drawn[chosen])

    def learn_normal(self, ground: PlantingGround, step: Callable[[], None]) -> None:
        """Explain the last of the clean spectra."""
        effects = []
        for row in range(len(ground) - self._settings.normal, len(ground)):
            clean = ground.clean
            redshift = float(clean.rows["redshift"][row])
            subject = subject_of(self._model, clean.flux[row], clean.ivar[row], redshift)
            effects.append(self._occlude(subject, self._settings.occlusion))
            step()
        self._combinations[AGAINST_NORMAL] = NormalResponse.of(effects).combination()

    def judge(self, sample: _Sample, step: Callable[[], None]) -> Iterator[JudgedSpectrum]:
        """Explain and judge the spectra of one kind and strength."""
        injected = sample.injected
        for i in range(len(injected)):
            subject = subject_of(self._model, injected.flux[i], injected.ivar[i], float(injected.redshift[i]))
            place = InjectedPlace(self._wavelength, injected.ivar[i] > 0, injected.injected[i])
            maps, window, of_run = self._maps(subject, seed=int(injected.row[i]))
            criteria = self._criteria.signatures(of_run, injected.flux[i], injected.ivar[i], subject.redshift)
            if i == 0:
                self._check_blind(subject, injected.injected[i])
            yield JudgedSpectrum(
                kind=injected.kind,
                strength=injected.strength,
                row=int(injected.row[i]),
                redshift=float(injected.redshift[i]),
                snr=float(injected.snr[i]),
                tail_probability=float(sample.tail[i]),
                drawn=bool(sample.drawn[i]),
                area=place.area,
                chance=place.chance,
                width=float(injected.peak_width_angstrom[i]),
                found={name: localise(each, place) for name, each in maps.items()},
                window=window,
                run_located=localise(of_run.combined, place).located,
                signatures=int(criteria),
            )
            step()

    def costs(self) -> dict[str, MethodCost]:
        """What the methods took."""
        occlusion, pixels = self._settings.occlusion, len(self._wavelength)
        baselines = occlusion.baselines
        once = replace(occlusion, baselines=1)
        passes = {
            "occlusion": forward_passes(occlusion, pixels),
            f"{NEAREST}occlusion": forward_passes(occlusion, pixels),
            TILED: forward_passes(self._tiled(), pixels),
            "gradient x input": GRADIENT_PASSES,
            "integrated gradients": GRADIENT_PASSES * PATH_STEPS * baselines,
            "plain occlusion": forward_passes(once, pixels),
            "residual": 1,
        }
        return {
            name: MethodCost(passes[name], statistics.median(taken)) for name, taken in self._seconds.items()
        }

    def pass_seconds(self, ground: PlantingGround) -> float:
        """Seconds of one spectrum through the model, the quickest of three batches."""
        row = np.zeros(_TIMED, dtype=np.int64)
        flux = device_tensor(ground.clean.flux[row], torch.device("cpu")).double()
        ivar = device_tensor(ground.clean.ivar[0], torch.device("cpu")).double()
        taken = []
        with torch.no_grad():
            log_prob = self._model.conditioned(ivar, float(ground.clean.rows["redshift"][0]))
            for _ in range(3):
                start = time.perf_counter()
                log_prob(flux)
                taken.append(time.perf_counter() - start)
        return min(taken) / _TIMED

    def _maps(self, subject: Subject, seed: int) -> tuple[dict[str, Floats], dict[str, int], Attribution]:
        """Maps by name, the width that adds most at the peak of some, and what a run would store."""
        occlusion = self._settings.occlusion
        maps: dict[str, Floats] = {}
        window: dict[str, int] = {}
        baselines = self._baselines(subject)
        with self._timed("occlusion"):
            effects = self._occlude(subject, occlusion)
            published = combined(effects, COMBINATIONS[PUBLISHED])
        with self._timed(f"{NEAREST}occlusion"):
            alike = nearest_baselines(self._model, subject, occlusion.baselines)
            near = effects_of(subject, alike, occlusion, self._settings.memory_bytes)
        for prefix, source in (("", effects), (NEAREST, near)):
            for name, preset in self._combinations.items():
                # What windows do in normal spectra was learnt with baselines drawn at random.
                if prefix and name == AGAINST_NORMAL:
                    continue
                found = combined(source, preset)
                maps[prefix + name], window[prefix + name] = found.combined, found.peak_window
        maps |= _by_width("window", occlusion.windows, published.maps)
        by_width = combined(near, COMBINATIONS[PUBLISHED]).maps
        maps |= _by_width(f"{NEAREST}window", occlusion.windows, by_width)
        with self._timed(TILED):
            found = combined(self._occlude(subject, self._tiled()), PRESETS[TILED])
        maps[TILED], window[TILED] = found.combined, found.peak_window

        with self._timed("gradient x input"):
            maps["gradient x input"] = gradient_times_input(subject)
        with self._timed("integrated gradients"):
            maps["integrated gradients"] = integrated_gradients(subject, baselines)
        for name in ("gradient x input", "integrated gradients"):
            maps[f"|{name}|"] = np.abs(maps[name])
        flux = subject.flux
        replacements = {
            "zero": torch.zeros_like(flux),
            "mean flux": torch.full_like(flux, float(flux[subject.good].mean())),
            "mean baseline": baselines.mean(dim=0),
        }
        for name, replacement in replacements.items():
            with self._timed("plain occlusion"):
                each = plain_occlusion(
                    subject,
                    replacement,
                    occlusion.windows,
                    self._settings.memory_bytes,
                )
            maps |= _by_width(f"occlusion by {name}", occlusion.windows, each)
        with self._timed("residual"):
            residuals = [residual_map(subject, width) for width in occlusion.windows]
        maps |= _by_width("residual", occlusion.windows, residuals)
        maps["random"] = random_map(subject, seed)
        run = PRESETS[occlusion.preset]
        return maps, window, combined(near if run.baselines == "nearest" else effects, run)

    def _check_blind(self, subject: Subject, unseen: NDArray[np.bool_]) -> None:
        tiled = self._tiled()
        blind = blind_subject(self._model, subject, unseen)
        self.unseen += unseen_windows(self._occlude(blind, tiled), tiled.preset, unseen)

    def _occlude(self, subject: Subject, occlusion: OcclusionSettings) -> WindowEffects:
        return effects_of(subject, self._baselines(subject), occlusion, self._settings.memory_bytes)

    def _baselines(self, subject: Subject) -> Tensor:
        return decoded_baselines(self._model, subject, self._chosen)

    def _tiled(self) -> OcclusionSettings:
        occlusion = self._settings.occlusion
        return replace(occlusion, preset=TILED)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._seconds.setdefault(name, []).append(time.perf_counter() - start)


def _by_width(family: str, widths: tuple[int, ...], maps: Iterable[Floats]) -> dict[str, Floats]:
    return {f"{family} {width}": each for width, each in zip(widths, maps, strict=True)}
