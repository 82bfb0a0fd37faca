"""Rounding: float32 occlusion compared with full forward passes in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engine.attribution.occlusion.dense import DenseOccluder
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.seams import SeamOccluder
from engine.attribution.occlusion.settings import PresetName
from flows.bench.subject import Subject, Subjects, chosen_windows

_BASELINES = 2
_DENSE_MEMORY = 2**26


@dataclass(frozen=True)
class Rounding:
    """Errors at one scale, relative to the standard deviation of the scale's differences.

    Attributes
    ----------
    preset : its name.
    window : width in pixels.
    compared : number of windows, times baselines, that were compared.
    standard_deviation : of the differences over all windows, in nat, averaged over these baselines.
    seams, dense : largest error of seams and of full forward passes in float32, over the standard
        deviation of the same baseline's differences; None if that is 0.
    """

    preset: PresetName
    window: int
    compared: int
    standard_deviation: float
    seams: float | None
    dense: float | None


def measure_rounding(
    subjects: Subjects,
    subject: Subject,
    preset: PresetName,
    windows: tuple[int, ...],
    sample: int,
    memory_bytes: int,
) -> tuple[Rounding, ...]:
    """Compare ``sample`` windows of each width, the first and the last among them, at two baselines."""
    request = subjects.request(subject, _BASELINES)
    exact_request = OcclusionRequest(request.spectrum.double(), request.baselines.double(), request.good)
    scales = subjects.scales(subject, preset, windows)
    generator = np.random.default_rng(0)
    chosen = []
    for scale in scales:
        inner = generator.permutation(np.arange(1, len(scale) - 1))[: max(sample - 2, 0)]
        chosen.append(np.unique(np.concatenate(([0], inner, [len(scale) - 1]))).astype(np.int64))
    samples = [chosen_windows(scale, index) for scale, index in zip(scales, chosen, strict=True)]
    floats = subjects.model.floats_per_pixel
    with torch.inference_mode():
        exact_score = subjects.exact_log_prob(subject)
        every = SeamOccluder(exact_score, memory_bytes).differences(request, scales)
        exact = DenseOccluder(exact_score, _DENSE_MEMORY, floats).differences(exact_request, samples)
        single = DenseOccluder(subjects.log_prob(subject), _DENSE_MEMORY, floats).differences(
            request, samples
        )
    found = []
    for scale, index, whole, wanted, dense in zip(scales, chosen, every, exact, single, strict=True):
        deviation = whole.double().std(dim=1, correction=0, keepdim=True)
        ours = whole.double()[:, torch.from_numpy(index).to(whole.device)]
        flat = bool((deviation == 0).any())
        found.append(
            Rounding(
                preset=preset,
                window=scale.window,
                compared=wanted.numel(),
                standard_deviation=float(deviation.mean()),
                seams=None if flat else float(((ours - wanted).abs() / deviation).max()),
                dense=None if flat else float(((dense.double() - wanted).abs() / deviation).max()),
            )
        )
    return tuple(found)
