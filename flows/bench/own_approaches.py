"""Occlusion by whyspec: by seams in full, and by batches of full forward passes on a sample."""

from __future__ import annotations

from collections.abc import Callable

import torch

from engine.attribution.occlusion.cost import Cost
from engine.attribution.occlusion.dense import DenseOccluder
from engine.attribution.occlusion.seams import SeamOccluder
from engine.attribution.occlusion.windows import Scale
from flows.bench.approaches import Approach, CountedForwards, TriedBatch, try_batches
from flows.bench.subject import Subject, Subjects, sampled

_BATCHES = 32
"""So many batches per baseline make :class:`DenseOccluder` use whole ones."""


def seams(
    subjects: Subjects, subject: Subject, scales: list[Scale], baselines: int, memory_bytes: int
) -> Approach:
    """All work for one spectrum, from the model in float64 to the differences."""
    request = subjects.request(subject, baselines)

    def run() -> None:
        with torch.inference_mode():
            occluder = SeamOccluder(subjects.exact_log_prob(subject), memory_bytes)
            occluder.differences(request, scales)

    what = f"{subjects.model.card.name}, SeamOccluder, every window and baseline"
    return Approach("seams", what, None, memory_bytes, run)


def seam_cost(
    subjects: Subjects, subject: Subject, scales: list[Scale], baselines: int, memory_bytes: int
) -> Cost:
    """Multiply-adds and bytes moved of :func:`seams`."""
    with torch.inference_mode():
        occluder = SeamOccluder(subjects.exact_log_prob(subject), memory_bytes)
        return occluder.cost(subjects.pixels, baselines, scales)


def dense(
    name: str, subjects: Subjects, subject: Subject, scales: list[Scale], sample: int, memory_bytes: int
) -> Approach:
    """The dense occluder with this memory, one baseline, on at least ``sample`` windows.

    The sample is as large as it must be for batches of the size that all windows have.
    """
    request = subjects.request(subject, 1)
    counted = CountedForwards(subjects.log_prob(subject))
    occluder = DenseOccluder(counted, memory_bytes, subjects.model.floats_per_pixel)
    windows = sum(len(scale) for scale in scales)
    batch = min(occluder.batch_rows(request), max(windows // _BATCHES, 1))
    chosen = sampled(scales, min(max(sample, _BATCHES * batch), windows))

    def run() -> int:
        before = counted.count
        with torch.inference_mode():
            occluder.differences(request, chosen)
        return counted.count - before

    what = f"{subjects.model.card.name}, DenseOccluder, {batch} spectra a batch"
    return Approach(name, what, batch, memory_bytes, run)


def dense_batches(subjects: Subjects, subject: Subject) -> tuple[TriedBatch, ...]:
    """Seconds per forward pass of the model at various batches."""
    log_prob = subjects.log_prob(subject)
    spectrum = subject.spectrum

    def work(size: int) -> Callable[[], None]:
        spectra = spectrum.expand(size, -1).contiguous()

        def run() -> None:
            with torch.inference_mode():
                log_prob(spectra)

        return run

    return try_batches(work, lambda size: size, subjects.device)


def batch_memory(subjects: Subjects, batch: int) -> int:
    """The memory that gives the dense occluder this batch."""
    return batch * subjects.pixels * torch.float32.itemsize * subjects.model.floats_per_pixel
