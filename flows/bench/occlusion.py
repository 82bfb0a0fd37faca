"""The occlusion benchmark: every way to explain a spectrum, in one process, on the same cores.

It compares four approaches: spender one window at a time (:mod:`flows.bench.published`), Captum
(:mod:`flows.bench.ablation`), batches of full forward passes and seams (:mod:`flows.bench.own_approaches`).
All but the last cost what their forward passes cost, which are all alike. So each of these runs on a sample
of windows and one baseline, and its seconds are multiplied up to the forward passes of a whole explanation:
one for each window and one for the baseline itself, for every baseline. Seams run in full.

The result and its JSON are described in :mod:`flows.bench.results`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch

from engine.attribution.memory import memory_for
from engine.attribution.occlusion.settings import PresetName, of_preset
from engine.attribution.occlusion.windows import Scale
from flows.bench.ablation import captum, captum_batches
from flows.bench.accuracy import Rounding, measure_rounding
from flows.bench.approaches import Approach, Skipped, TriedBatch, best_batches
from flows.bench.curves import CurveSettings, measure_curves
from flows.bench.devices import describe_machine, load_average
from flows.bench.own_approaches import batch_memory, dense, dense_batches, seam_cost, seams
from flows.bench.published import published
from flows.bench.rates import Rates, best_rates, measure_rates
from flows.bench.results import SCHEMA, Case, Measurement, OcclusionBench, limit, measurement, ratios
from flows.bench.subject import Subject, Subjects
from flows.bench.timing import time_in_turn
from models.errors import ConfigurationError, ErrorKind
from models.scoring.scoring_model import ScoringModel

OPTIONAL = ("spender", "captum")
"""Packages that are compared with, and may be left out."""

_DENSE_MEMORY = 2**26
"""What explanations gave the dense occluder when it was the only one, in bytes."""
_DENSE_TRIALS = 3
_ROUNDING_SAMPLE = 64


@dataclass(frozen=True)
class BenchSettings:
    """What is measured, and how often.

    Attributes
    ----------
    presets, baselines, windows : explanations: every preset with every number of baselines, the same
        widths (pixels) for all.
    repeats : runs of everything, one more not counted.
    sample : windows, at least, that an approach is run on if it is run on a sample.
    masked : share of pixels that are masked, 0 to less than 1.
    skip : names among :data:`OPTIONAL` that are left out.
    curves : whether the three curves are measured too.
    memory_bytes : what an occlusion by seams may take; 0 for what explanations give it.
    spender_flow : released weights of spender's flow; None for random ones.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    presets: tuple[PresetName, ...] = ("paper", "reference-code")
    baselines: tuple[int, ...] = (8, 32)
    windows: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    repeats: int = 5
    sample: int = 64
    masked: float = 0.0
    skip: tuple[str, ...] = ()
    curves: bool = False
    memory_bytes: int = 0
    spender_flow: Path | None = None

    def __post_init__(self) -> None:
        # The occlusion settings check presets, widths and numbers of baselines.
        for preset in self.presets:
            for baselines in self.baselines:
                of_preset(preset, baselines=baselines, windows=self.windows)
        _check(
            "presets", self.presets, bool(self.presets), f"one or more of {', '.join(get_args(PresetName))}"
        )
        _check("baselines", self.baselines, bool(self.baselines), "one or more numbers, e.g. 8,32")
        _check("repeats", self.repeats, self.repeats >= 1, "an integer of at least 1")
        _check("sample", self.sample, self.sample >= 1, "an integer of at least 1")
        _check("masked", self.masked, 0 <= self.masked < 1, "at least 0, less than 1")
        _check("memory", self.memory_bytes, self.memory_bytes >= 0, "bytes; 0 for the default")
        _check("skip", ",".join(self.skip), set(self.skip) <= set(OPTIONAL), ", ".join(OPTIONAL))


def _check(name: str, got: object, fits: bool, allowed: str) -> None:
    if not fits:
        raise ConfigurationError(
            "An option of the benchmark does not fit.",
            where=f"--{name}",
            got=got,
            allowed=allowed,
            remedy="Give an allowed value.",
            kind=ErrorKind.BENCH_SETTINGS,
        )


def bench_occlusion(
    model: ScoringModel, settings: BenchSettings, device: torch.device, progress: Callable[[str], None]
) -> OcclusionBench:
    """Measure all of ``settings``; ``progress`` takes a line of text before each step.

    Raises
    ------
    ConfigurationError : the model has too few calibration spectra, or the memory does not do.
    InputError : the weights of spender's flow cannot be read.
    """
    load_before = load_average()
    subjects = Subjects(model, device, settings.masked)
    subject = subjects.subject(0)
    memory = memory_for(device, settings.memory_bytes)
    progress("matrix product and copy")
    rates_before = measure_rates(device, settings.repeats)
    progress("dense: batches")
    with torch.inference_mode():
        tried = _Tried(dense_batches(subjects, subject), _captum_batches(subjects, subject, settings))
    timed: list[tuple[_Part, tuple[_Timed, ...]]] = []
    skipped: dict[str, Skipped] = {}
    rounding: list[Rounding] = []
    for preset in settings.presets:
        scales = subjects.scales(subject, preset, settings.windows)
        found = _sampled_approaches(subjects, subject, scales, settings, tried)
        skipped |= {one.approach: one for one in found if isinstance(one, Skipped)}
        approaches = [one for one in found if isinstance(one, Approach)]
        part = _Part(subjects, subject, preset, scales, memory)
        timed.append((part, _timed(part, settings, approaches, progress)))
        progress(f"{preset}: rounding")
        rounding += measure_rounding(subjects, subject, preset, settings.windows, _ROUNDING_SAMPLE, memory)
    curves = CurveSettings(
        settings.presets[0], settings.baselines[0], settings.windows, settings.repeats, memory
    )
    measured_curves = measure_curves(subjects, curves, progress) if settings.curves else ()
    progress("matrix product and copy")
    rates = best_rates(rates_before, measure_rates(device, settings.repeats))
    return OcclusionBench(
        schema=SCHEMA,
        model=model.card.name,
        pixels=subjects.pixels,
        redshift=subject.redshift,
        masked_pixels=int((~subject.good).sum()),
        repeats=settings.repeats,
        rates=rates,
        dense_batches=tried.dense,
        captum_batches=() if isinstance(tried.captum, Skipped) else tried.captum,
        cases=tuple(_case(part, settings, one, rates) for part, found in timed for one in found),
        skipped=tuple(skipped.values()),
        rounding=tuple(rounding),
        curves=measured_curves,
        machine=describe_machine(device, load_before),
    )


@dataclass(frozen=True)
class _Tried:
    """Batches that were tried, or why not."""

    dense: tuple[TriedBatch, ...]
    captum: tuple[TriedBatch, ...] | Skipped


@dataclass(frozen=True, eq=False)
class _Part:
    """The occlusions of one preset."""

    subjects: Subjects
    subject: Subject
    preset: PresetName
    scales: list[Scale]
    memory_bytes: int

    @property
    def windows(self) -> int:
        """Windows of all widths."""
        return sum(len(scale) for scale in self.scales)


def _left_out(approach: str, package: str) -> Skipped:
    return Skipped(approach, f"left out by --skip {package}", f"Take {package} out of --skip.")


def _captum_batches(
    subjects: Subjects, subject: Subject, settings: BenchSettings
) -> tuple[TriedBatch, ...] | Skipped:
    if "captum" in settings.skip:
        return _left_out("captum", "captum")
    return captum_batches(subjects, subject)


def _sampled_approaches(
    subjects: Subjects, subject: Subject, scales: list[Scale], settings: BenchSettings, tried: _Tried
) -> list[Approach | Skipped]:
    """All approaches that are run on a sample, ready or skipped."""
    sample = settings.sample
    found = [
        _left_out("published", "spender")
        if "spender" in settings.skip
        else published(subjects, subject, scales, sample, settings.spender_flow),
        tried.captum
        if isinstance(tried.captum, Skipped)
        else captum(subjects, subject, settings.windows[0], sample, tried.captum),
        dense("dense", subjects, subject, scales, sample, _DENSE_MEMORY),
    ]
    for batch in best_batches(tried.dense, _DENSE_TRIALS):
        memory = batch_memory(subjects, batch)
        found.append(dense(f"dense, batch {batch}", subjects, subject, scales, sample, memory))
    return found


def _with_best_dense(measurements: list[Measurement]) -> list[Measurement]:
    """Of all dense ones, the one with the planned batch and the quickest, which may be the same."""
    every = [one for one in measurements if one.approach.startswith("dense")]
    quickest = min(every, key=lambda one: one.seconds)
    kept = [one for one in measurements if one is every[0] or one not in every]
    return [*kept, replace(quickest, approach="dense-best-batch")]


@dataclass(frozen=True)
class _Timed:
    """All approaches with one number of baselines, seams last."""

    baselines: int
    measurements: tuple[Measurement, ...]


def _timed(
    part: _Part, settings: BenchSettings, sampled: list[Approach], progress: Callable[[str], None]
) -> tuple[_Timed, ...]:
    """Time all approaches; the samples are run once for all numbers of baselines."""
    whole = {
        count: seams(part.subjects, part.subject, part.scales, count, part.memory_bytes)
        for count in settings.baselines
    }
    forwards: dict[str, int] = {}

    def counting(approach: Approach) -> Callable[[], None]:
        def run() -> None:
            forwards[approach.name] = approach.run() or 0

        return run

    works: dict[str, Callable[[], object]] = {one.name: counting(one) for one in sampled}
    works |= {f"{one.name}, {count} baselines": one.run for count, one in whole.items()}
    timings = time_in_turn(
        works, settings.repeats, part.subjects.device, lambda text: progress(f"{part.preset}: {text}")
    )
    threads = torch.get_num_threads()
    found = []
    for count, own in whole.items():
        total = count * (1 + part.windows)
        others = [measurement(one, timings[one.name], forwards[one.name], total, threads) for one in sampled]
        ours = measurement(own, timings[f"{own.name}, {count} baselines"], None, total, threads)
        found.append(_Timed(count, (*_with_best_dense(others), ours)))
    return tuple(found)


def _case(part: _Part, settings: BenchSettings, timed: _Timed, rates: Rates) -> Case:
    cost = seam_cost(part.subjects, part.subject, part.scales, timed.baselines, part.memory_bytes)
    return Case(
        preset=part.preset,
        baselines=timed.baselines,
        windows=settings.windows,
        window_count=part.windows,
        measurements=timed.measurements,
        ratios=ratios(timed.measurements),
        limit=limit(cost, rates, timed.measurements[-1].seconds),
    )
