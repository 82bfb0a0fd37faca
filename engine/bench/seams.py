"""Occlusion at the cost of its seams, in full: every window and every baseline."""

from __future__ import annotations

import torch

from engine.bench.approaches import Approach
from engine.bench.subject import Subject, Subjects
from engine.occlusion.cost import Cost
from engine.occlusion.seams import SeamOccluder
from engine.occlusion.windows import Scale


def seams(
    subjects: Subjects, subject: Subject, scales: list[Scale], baselines: int, memory_bytes: int
) -> Approach:
    """All that one spectrum costs, from the model in float64 to the differences."""
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
    """What :func:`seams` has to do, counted."""
    with torch.inference_mode():
        occluder = SeamOccluder(subjects.exact_log_prob(subject), memory_bytes)
        return occluder.cost(subjects.pixels, baselines, scales)
