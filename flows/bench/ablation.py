"""Feature ablation by Captum, the general tool for any model, of whyspec's own model.

Captum replaces pieces of its input by its baseline. Given the typical spectrum as input and the odd one
as baseline, that is inverse occlusion.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

from flows.bench.approaches import (
    Approach,
    CountedForwards,
    Skipped,
    TriedBatch,
    best_batches,
    optional_module,
    try_batches,
)
from flows.bench.subject import Subject, Subjects

_BATCHES = 8


def captum_batches(subjects: Subjects, subject: Subject) -> tuple[TriedBatch, ...] | Skipped:
    """Seconds per forward pass at various ``perturbations_per_eval``, or why there is no Captum."""
    ablation = _ablation(subjects, subject)
    if isinstance(ablation, Skipped):
        return ablation
    ablate, _ = ablation

    def work(size: int) -> Callable[[], None]:
        return lambda: ablate(1, 2 * size, size)

    # The pixels outside the windows are one window more, the input itself is another forward pass.
    return try_batches(work, lambda size: 2 * size + 2, subjects.device)


def captum(
    subjects: Subjects, subject: Subject, window: int, sample: int, tried: tuple[TriedBatch, ...]
) -> Approach | Skipped:
    """Captum at its best batch, one baseline, on at least ``sample`` windows if there are so many.

    ``window`` is their width in pixels; a forward pass costs the same whatever it is.
    """
    ablation = _ablation(subjects, subject)
    if isinstance(ablation, Skipped):
        return ablation
    ablate, counted = ablation
    batch = best_batches(tried)[0]

    def run() -> int:
        before = counted.count
        ablate(window, max(sample, _BATCHES * batch), batch)
        return counted.count - before

    what = f"{subjects.model.card.name}, captum {version('captum')} FeatureAblation, {batch} windows a call"
    return Approach("captum", what, batch, None, run)


def _ablation(
    subjects: Subjects, subject: Subject
) -> tuple[Callable[[int, int, int], None], CountedForwards] | Skipped:
    """A function (width, number of windows, batch) that ablates one baseline, and its counter."""
    attr: Any = optional_module("captum", "captum.attr")
    if isinstance(attr, Skipped):
        return attr
    counted = CountedForwards(subjects.log_prob(subject))
    request = subjects.request(subject, 1)
    ablation = attr.FeatureAblation(counted)
    pixel = torch.arange(request.pixels, device=subjects.device)

    def ablate(width: int, count: int, batch: int) -> None:
        # Windows side by side from the blue end; what is left is the last one.
        window_of_pixel = (pixel // width).clamp(max=count)
        with torch.no_grad():
            ablation.attribute(
                request.baselines,
                baselines=request.spectrum[None],
                feature_mask=window_of_pixel[None],
                perturbations_per_eval=batch,
            )

    return ablate, counted
