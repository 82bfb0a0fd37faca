"""How the seconds of occlusion by seams grow with spectra, baselines and wide windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.bench.results import Curve, CurvePoint
from engine.bench.seams import seams
from engine.bench.subject import Subjects
from engine.bench.timing import time_in_turn
from engine.occlusion.settings import PresetName

SPECTRA = (1, 2, 4)
BASELINES = (1, 2, 4, 8, 16, 32)
WIDE = (192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Widths in pixels, all beyond 128."""


@dataclass(frozen=True)
class CurveSettings:
    """What is fixed along the curves, and how often each point is measured.

    Attributes
    ----------
    preset, baselines, windows : of an explanation.
    repeats : runs of each point.
    memory_bytes : what an occlusion may take.
    """

    preset: PresetName
    baselines: int
    windows: tuple[int, ...]
    repeats: int
    memory_bytes: int


Name = Literal["spectra", "baselines", "wide windows"]


def measure_curves(
    subjects: Subjects, settings: CurveSettings, progress: Callable[[str], None]
) -> tuple[Curve, ...]:
    """The three curves; numbers of baselines beyond the model's calibration set are left out."""
    fixed, windows = settings.baselines, settings.windows
    known = tuple(count for count in BASELINES if count <= subjects.model.calibration_size)
    wide = tuple(width for width in WIDE if width < subjects.pixels)

    def work(spectra: int, baselines: int, widths: tuple[int, ...]) -> Callable[[], None]:
        runs = []
        for seed in range(spectra):
            subject = subjects.subject(seed)
            scales = subjects.scales(subject, settings.preset, widths)
            runs.append(seams(subjects, subject, scales, baselines, settings.memory_bytes).run)

        def run() -> None:
            for one in runs:
                one()

        return run

    def curve(
        name: Name,
        works: dict[int, Callable[[], None]],
        spectra: int | None,
        baselines: int | None,
        widths: tuple[int, ...],
    ) -> Curve:
        named = {f"{name} {x}": one for x, one in works.items()}
        timings = time_in_turn(named, settings.repeats, subjects.device, progress)
        points = tuple(
            CurvePoint(x, timing.minimum, timing.median)
            for x, timing in zip(works, timings.values(), strict=True)
        )
        return Curve(name, settings.preset, spectra, baselines, widths, points)

    return (
        curve("spectra", {x: work(x, fixed, windows) for x in SPECTRA}, None, fixed, windows),
        curve("baselines", {x: work(1, x, windows) for x in known}, 1, None, windows),
        curve(
            "wide windows",
            {x: work(1, fixed, wide[:x]) for x in range(1, len(wide) + 1)},
            1,
            fixed,
            wide,
        ),
    )
