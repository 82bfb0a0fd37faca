"""The LIME benchmark: one explained spectrum by whyspec and by Captum, with the same model and segments."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.attribution.segments.game import game_of
from engine.attribution.segments.lime import LIME, PUBLISHED, LimeSettings
from engine.attribution.subject import Subject, subject_of
from flows.bench.approaches import Skipped, optional_module
from flows.bench.devices import Machine, describe_machine, load_average, usable_device
from models.grid import WavelengthGrid
from models.model_card import ModelCard
from models.score_kinds import ScoreKind
from models.variational.model import VariationalArchitecture, VariationalModel

SCHEMA = 1
PIXELS = 3773
"""Of the published spectra, 3700 to 7500 Angstrom."""
PUBLISHED_SECONDS = 4.23
"""For 5,000 samples of 64 segments on one worker, by the notebook xmse/speed of the published code."""
_CAPTUM_BATCHES = (100, 1000)


@dataclass(frozen=True)
class LimeBench:
    """Results of the benchmark; also the JSON, one object of these fields.

    Attributes
    ----------
    schema : raised when a field changes its meaning or goes.
    captum : its version; None if it is not installed.
    score, pixels, segments, samples, repeats : what was explained, and how often.
    seconds : of the processor for one spectrum by the quickest run, by approach: ``whyspec``; ``whyspec,
        passes``, by whole spectra through the model whatever it knows of sums; ``captum``, its quicker batch.
    captum_batch : spectra that it gave the model at once.
    captum_over_whyspec : ratio of seconds; None without Captum.
    published_seconds : of the published code, on another machine; published_over_whyspec : ratio.
    correlation : of Captum's weights with whyspec's.
    machine : where.
    """

    schema: int
    captum: str | None
    score: str
    pixels: int
    segments: int
    samples: int
    repeats: int
    seconds: dict[str, float]
    captum_batch: int | None
    captum_over_whyspec: float | None
    published_seconds: float
    published_over_whyspec: float
    correlation: float | None
    machine: Machine

    def to_dict(self) -> dict[str, Any]:
        """The JSON-ready form."""
        return asdict(self)


def bench_lime(score: str, samples: int, repeats: int, progress: Callable[[str], None]) -> LimeBench:
    """Measure.

    Parameters
    ----------
    score : name of the reconstruction score that is explained.

    Raises
    ------
    ConfigurationError : there is no such score, or the samples are too few.
    """
    load_before, device = load_average(), usable_device("cpu")
    subject = made_subject(score)
    settings = replace(PUBLISHED, samples=samples)
    plain = replace(subject, log_prob=lambda flux: subject.log_prob(flux))
    found: dict[str, Any] = {}

    def own(name: str, given: Subject) -> Callable[[], None]:
        def run() -> None:
            found[name] = LIME.attribute(given, settings)

        return run

    works = {name: own(name, given) for name, given in (("whyspec", subject), ("whyspec, passes", plain))}
    attr = optional_module("captum", "captum.attr")
    if not isinstance(attr, Skipped):
        for batch in _CAPTUM_BATCHES:
            works[f"captum, {batch}"] = _captum(attr, subject, settings, batch, found)
    seconds = _seconds_in_turn(works, repeats, progress)
    batch = min(_CAPTUM_BATCHES, key=lambda size: seconds.get(f"captum, {size}", 0.0))
    known = f"captum, {batch}" in seconds
    ours = seconds["whyspec"]
    quickest = {name: seconds[name] for name in ("whyspec", "whyspec, passes")}
    if known:
        quickest["captum"] = seconds[f"captum, {batch}"]
    return LimeBench(
        schema=SCHEMA,
        captum=version("captum") if known else None,
        score=score,
        pixels=PIXELS,
        segments=found["whyspec"].segments.count,
        samples=samples,
        repeats=repeats,
        seconds=quickest,
        captum_batch=batch if known else None,
        captum_over_whyspec=quickest["captum"] / ours if known else None,
        published_seconds=PUBLISHED_SECONDS,
        published_over_whyspec=PUBLISHED_SECONDS / ours,
        correlation=float(np.corrcoef(found["whyspec"].weights, found["captum"])[0, 1]) if known else None,
        machine=describe_machine(device, load_before),
    )


def _seconds_in_turn(
    works: Mapping[str, Callable[[], None]], repeats: int, progress: Callable[[str], None]
) -> dict[str, float]:
    """Processor seconds of the quickest run of each, in which other programs do not count."""
    seconds = dict.fromkeys(works, math.inf)
    for repeat in range(1 + repeats):
        for name, work in works.items():
            progress(f"{name}: run {repeat} of {repeats}")
            start = time.process_time()
            work()
            if repeat:
                seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds


def made_subject(score: str) -> Subject:
    """A noisy spectrum with an odd line, and a variational model of the published size."""
    kind = ScoreKind.named(score)
    card = ModelCard(
        name="made-up variational",
        description="random weights, for a benchmark",
        kind="variational",
        grid=WavelengthGrid("made-up", "linear", 3700.0, 3800.0 / PIXELS, PIXELS),
        classes=("GALAXY",),
        redshift_min=0.0,
        redshift_max=0.5,
        snr_min=1.0,
        snr_max=100.0,
        normalisation_min=5300.0,
        normalisation_max=5850.0,
        min_good_fraction=0.3,
        rest_start=float(np.log10(3700.0)),
        rest_step=float(np.log10(7500.0 / 3700.0) / PIXELS),
        rest_size=PIXELS,
        architecture=VariationalArchitecture(kind.form, score).to_dict(),
        training={},
        metrics={},
        calibration_quantiles=(),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VariationalModel(card, 1).double().requires_grad_(False).eval()
        noise = 0.2 * torch.randn(PIXELS)
    pixel = np.arange(PIXELS)
    flux = 1.0 + noise.numpy() + 2.0 * np.exp(-0.5 * ((pixel - 2000) / 6.0) ** 2)
    return subject_of(model, flux.astype(np.float32), np.full(PIXELS, 25.0, dtype=np.float32), 0.0)


def _captum(
    attr: Any, subject: Subject, settings: LimeSettings, batch: int, found: dict[str, Any]
) -> Callable[[], None]:
    """Captum's Lime with scikit-learn's ridge, on the segments and the replacement of these settings."""
    models: Any = optional_module("captum", "captum._utils.models.linear_model")
    game = game_of(subject, settings)
    segment = torch.from_numpy(game.segments.of_pixel)[None]
    first = torch.from_numpy(np.unique(game.segments.of_pixel, return_index=True)[1])

    def score(flux: Tensor) -> Tensor:
        with torch.no_grad():
            return -subject.log_prob(flux)

    def run() -> None:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            torch.manual_seed(settings.seed)
            weights = attr.Lime(
                score, interpretable_model=models.SkLearnRidge(alpha=settings.ridge)
            ).attribute(
                subject.flux.double()[None],
                baselines=game.replacement[None],
                feature_mask=segment,
                n_samples=settings.samples,
                perturbations_per_eval=batch,
            )
        found["captum"] = weights[0, first].numpy()

    return run
