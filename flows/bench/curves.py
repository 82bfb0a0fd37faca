"""Growth curves of occlusion by seams: seconds by spectra, baselines and wide windows, and their figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from engine.attribution.occlusion.settings import PresetName
from engine.figures.palette import BASELINE, GRID, INK, MUTED, ODD
from flows.bench.own_approaches import seams
from flows.bench.results import Curve, CurveName, CurvePoint, OcclusionBench
from flows.bench.subject import Subjects
from flows.bench.timing import time_in_turn

SPECTRA = (1, 2, 4)
BASELINES = (1, 2, 4, 8, 16, 32)
WIDE = (192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Widths in pixels, all beyond 128."""
_SIZE = (11.0, 3.9)
"""Of the figure, in inches."""
_AXES = {
    "spectra": "spectra explained",
    "baselines": "baselines per spectrum",
    "wide windows": "number of window widths beyond 128 pixels",
}


@dataclass(frozen=True)
class CurveSettings:
    """Constants along the curves, and repeats of each point.

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
        name: CurveName,
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


def curves_figure(bench: OcclusionBench) -> Figure:
    """Draw seconds over spectra, baselines and wide windows: a panel each, all from zero.

    Points are the quickest runs, the bars above them reach to the median. The dashed line is
    proportional growth from the first point. The figure owns no pyplot state.
    """
    figure = Figure(figsize=_SIZE, facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, max(len(bench.curves), 1), squeeze=False)[0]
    for axes, curve in zip(panels, bench.curves, strict=True):
        _draw(axes, curve)
    panels[0].set_ylabel("seconds, all of them (s)")
    panels[0].legend(loc="upper left", fontsize=8.5, frameon=False)
    machine = bench.machine
    figure.suptitle(
        f"Occlusion by seams: {bench.model}, {bench.pixels} pixels, {machine.device_name}, "
        f"torch threads: {machine.threads}",
        x=0.01,
        ha="left",
        fontsize=11,
        color=INK,
    )
    figure.tight_layout(rect=(0, 0, 1, 0.97), w_pad=1.6)
    return figure


def _draw(axes: Axes, curve: Curve) -> None:
    x = [point.x for point in curve.points]
    seconds = [point.seconds for point in curve.points]
    above = [point.median_seconds - point.seconds for point in curve.points]
    first = curve.points[0]
    ends = [0, x[-1]]
    axes.plot(
        ends,
        [end * first.seconds / first.x for end in ends],
        color=ODD,
        linewidth=1.2,
        linestyle=(0, (4, 3)),
        label="in proportion to the first",
    )
    axes.errorbar(
        x,
        seconds,
        yerr=[[0.0] * len(x), above],
        color=BASELINE,
        linewidth=1.6,
        marker="o",
        markersize=5,
        elinewidth=1.0,
        capsize=2.5,
        label="quickest run, bar to the median",
    )
    axes.set_xlim(0, x[-1] * 1.05)
    axes.set_ylim(0, None)
    axes.set_xlabel(_AXES[curve.name], color=INK)
    axes.set_title(_fixed(curve), fontsize=9, color=MUTED, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.grid(color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK, width=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _fixed(curve: Curve) -> str:
    """What is the same at all points."""
    widths = ", ".join(str(width) for width in curve.windows)
    if len(curve.windows) > 6:
        first, second, *_, last = curve.windows
        widths = f"{first}, {second}, … {last}"
    many = f"{curve.baselines} baselines" if curve.baselines else "1 spectrum"
    if curve.name == "wide windows":
        return f"preset {curve.preset}, {many}\nthe first of {widths} px"
    return f"preset {curve.preset}, {many}\nwindows {widths} px"
