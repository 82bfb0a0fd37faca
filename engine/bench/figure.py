"""The curves of the benchmark as a figure."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from engine.bench.results import Curve, OcclusionBench
from engine.report.palette import BASELINE, GRID, INK, MUTED, ODD

WIDTH, HEIGHT = 11.0, 3.9
"""Size of the figure in inches."""

_AXES = {
    "spectra": "spectra explained",
    "baselines": "baselines per spectrum",
    "wide windows": "number of window widths beyond 128 pixels",
}


def curves_figure(bench: OcclusionBench) -> Figure:
    """Draw seconds over spectra, baselines and wide windows: a panel each, all from zero.

    Points are the quickest runs, the bars above them reach to the median. The dashed line is
    proportional growth from the first point. The figure owns no pyplot state.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
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
