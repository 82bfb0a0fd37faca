"""The report's charts. Each is drawn from plain arrays and returned as a figure."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)
from numpy.typing import NDArray

from engine.figures.line_labels import lines_within, spread_apart
from engine.figures.palette import BASELINE, CLUSTERS, GRID, INK, MARK, MUTED, ODD, RAW
from engine.report.score_scale import ScoreScale, plain_number
from engine.surveys.survey import ObservedMark

_SIZE = (5.2, 3.5)
_WIDE = (6.6, 4.0)
_MANY = 4000
_BINS = 70
_DECADES = 3.5
_SCORE = "score"


def score_histogram(score: NDArray[np.floating], outlier: NDArray[np.bool_], threshold: float) -> Figure:
    """Distribution of the scores with the outliers picked out; ``threshold`` is a tail probability."""
    figure, axes = _chart()
    finite = np.isfinite(score)
    # float64: the ends of the scale are, and float32 rounds a clipped score back below the low end.
    values = score[finite].astype(np.float64)
    chosen = values[outlier[finite]]
    if len(values):
        scale = ScoreScale.of(values)
        axes.set_xscale("function", functions=(scale.forward, scale.inverse))
        axes.set_xlim(*scale.limits(0.03))
        _score_axis(axes.xaxis, scale, 0.13)
        edges = scale.edges(_BINS).tolist()
        axes.hist(np.clip(values, scale.low, None), edges, color=RAW, label=f"scored: {len(values):,}")
        axes.hist(chosen, edges, color=ODD, label=f"outliers: {len(chosen):,}")
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.yaxis.set_major_formatter(FuncFormatter(plain_number))
        axes.yaxis.set_minor_formatter(NullFormatter())
        if len(chosen):
            axes.axvline(float(chosen.min()), color=INK, linewidth=1.0, linestyle="--")
            axes.annotate(
                f"tail probability ≤ {threshold:g}",
                xy=(float(chosen.min()), 0.98),
                xycoords=("data", "axes fraction"),
                xytext=(5, 0),
                textcoords="offset points",
                va="top",
                fontsize=9.5,
                color=INK,
            )
        axes.legend(frameon=False, fontsize=9.5, loc="upper right", bbox_to_anchor=(1.0, 0.92))
    _name(axes, _SCORE, "spectra")
    return figure


def score_against(
    quantity: NDArray[np.floating],
    score: NDArray[np.floating],
    outlier: NDArray[np.bool_],
    name: str,
    *,
    logarithmic: bool,
) -> Figure:
    """Density of all scored spectra in grey, outliers as points, against ``quantity``."""
    figure, axes = _chart()
    usable = np.isfinite(quantity) & np.isfinite(score) & ((quantity > 0.0) | (not logarithmic))
    x, y, odd = quantity[usable], score[usable].astype(np.float64), outlier[usable]
    if len(x):
        scale = ScoreScale.of(y)
        axes.set_yscale("function", functions=(scale.forward, scale.inverse))
        _score_axis(axes.yaxis, scale, 0.075)
        if len(x) > _MANY:
            _draw_density(figure, axes, x, y, scale, logarithmic=logarithmic)
        else:
            axes.plot(x[~odd], y[~odd], "o", color=MUTED, markersize=2.4, alpha=0.5, markeredgewidth=0.0)
        axes.plot(
            x[odd], y[odd], "o", color=ODD, markersize=3.0, alpha=0.8, markeredgewidth=0.0, rasterized=True
        )
        axes.set_ylim(*scale.limits(0.03))
        if logarithmic:
            # A few spectra of no signal at all must not stretch the axis; outliers always show.
            ends = np.append(np.percentile(x, [0.05, 99.95]), x[odd])
            _logarithmic_axis(axes, float(ends.min()), float(ends.max()))
    _name(axes, name, _SCORE)
    return figure


def _score_axis(axis: Axis, scale: ScoreScale, apart: float) -> None:
    axis.set_major_locator(FixedLocator(list(scale.ticks(apart))))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(plain_number))


def _logarithmic_axis(axes: Axes, low: float, high: float) -> None:
    """Ticks at 1, 2, 5, 10, ..., at powers of ten alone where those would crowd; numbers in full."""
    axes.set_xscale("log")
    axes.set_xlim(low / 1.1, high * 1.1)
    crowded = math.log10(high / low) > _DECADES
    axes.xaxis.set_major_locator(LogLocator(10.0, subs=(1.0,) if crowded else (1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(plain_number))


def _draw_density(
    figure: Figure,
    axes: Axes,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    scale: ScoreScale,
    *,
    logarithmic: bool,
) -> None:
    low, high = np.percentile(x, [0.05, 99.95])
    edges = np.geomspace(low, high, 91) if logarithmic else np.linspace(low, high, 91)
    levels = scale.edges(70)
    counts, _, _ = np.histogram2d(x, y, bins=(edges, levels))
    shown = np.ma.masked_less(counts.T, 1.0)
    most = max(10.0, float(counts.max()))
    mesh = axes.pcolormesh(edges, levels, shown, cmap="Greys", norm=LogNorm(0.3, most), rasterized=True)
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, aspect=28)
    bar.ax.set_ylim(1.0, most)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(plain_number))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.set_label("spectra", fontsize=9.5, color=INK)
    bar.ax.tick_params(labelsize=8.5)


def observed_places(
    place: NDArray[np.float64], first: float, last: float, marks: tuple[ObservedMark, ...]
) -> Figure:
    """Where the outliers' first places are on the instrument, with sky lines and arm overlaps."""
    figure, axes = _chart(_WIDE)
    values = place[np.isfinite(place)]
    axes.hist(values, np.linspace(first, last, 126).tolist(), color=ODD)
    for mark in marks:
        shade = BASELINE if mark.source == "sky" else MARK
        axes.axvspan(mark.first, mark.last, color=shade, alpha=0.28, linewidth=0.0, zorder=0)
    centres = np.array([0.5 * (mark.first + mark.last) for mark in marks])
    room = last - first
    for mark, centre, label in zip(
        marks, centres, spread_apart(centres, 0.026 * room, first, last), strict=True
    ):
        _leader(axes, centre, label, mark.name)
    axes.set_xlim(first, last)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    _name(axes, "observed wavelength of the place (Å, vacuum)", "outliers")
    return figure


def rest_places(rest_place: NDArray[np.float64]) -> Figure:
    """Where the outliers' first places are in the rest frame, with spectral lines."""
    figure, axes = _chart(_WIDE)
    values = rest_place[np.isfinite(rest_place)]
    if len(values):
        low, high = float(values.min()) * 0.98, float(values.max()) * 1.02
        axes.hist(values, np.linspace(low, high, 126).tolist(), color=ODD)
        axes.set_xlim(low, high)
        _label_lines(axes, low, high)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    _name(axes, "rest wavelength of the place (Å, vacuum)", "outliers")
    return figure


def cluster_chart(
    wavelength: NDArray[np.float64],
    flux: NDArray[np.float64],
    baseline: NDArray[np.float64],
    attribution: NDArray[np.float64],
    label: int,
) -> Figure:
    """Mean spectrum over mean baseline, and mean attribution, of one cluster in the rest frame."""
    figure = Figure(figsize=(9.4, 4.3), facecolor="white", layout=None)
    FigureCanvasAgg(figure)
    above, below = figure.subplots(
        2,
        1,
        sharex=True,
        gridspec_kw={
            "height_ratios": (1.5, 1.0),
            "hspace": 0.06,
            "left": 0.08,
            "right": 0.985,
            "top": 0.82,
            "bottom": 0.115,
        },
    )
    colour = CLUSTERS[label % len(CLUSTERS)]
    seen = np.isfinite(attribution)
    above.plot(wavelength, flux, color=INK, linewidth=0.8, label="mean spectrum")
    above.plot(wavelength, baseline, color=BASELINE, linewidth=1.1, label="mean baseline")
    above.legend(frameon=False, fontsize=8.5, loc="upper right", ncols=2)
    below.fill_between(wavelength, 0.0, np.where(seen, attribution, 0.0), color=colour, linewidth=0.5)
    below.axhline(0.0, color=INK, linewidth=0.5)
    if seen.any():
        first, last = float(wavelength[seen][0]), float(wavelength[seen][-1])
        above.set_xlim(first, last)
        _label_lines(above, first, last)
        for line, observed in lines_within(first, last, 0.0):
            below.axvline(observed, color=GRID, linewidth=0.5, zorder=0, linestyle=_style(line.kind))
    _name(above, "", "normalised flux")
    for axes in (above, below):
        axes.tick_params(labelsize=8.5)
    _name(below, "rest wavelength (Å, vacuum)", "mean attribution\n(share of peak)")
    for axes in (above, below):
        axes.yaxis.label.set_fontsize(9)
    below.xaxis.label.set_fontsize(9.5)
    figure.align_ylabels([above, below])
    return figure


def _chart(size: tuple[float, float] = _SIZE) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _name(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=10.5, color=INK)
    axes.set_ylabel(y, fontsize=10.5, color=INK)
    axes.tick_params(labelsize=9.5, colors=INK, width=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)


def _style(kind: str) -> str | tuple[float, tuple[float, float]]:
    return "solid" if kind == "emission" else (0, (3, 2))


def _label_lines(axes: Axes, first: float, last: float) -> None:
    found = lines_within(first, last, 0.0)
    places = spread_apart(np.array([observed for _, observed in found]), 0.0205 * (last - first), first, last)
    for (line, observed), place in zip(found, places, strict=True):
        axes.axvline(observed, color=GRID, linewidth=0.5, zorder=0, linestyle=_style(line.kind))
        _leader(axes, observed, place, line.name)


def _leader(axes: Axes, at: float, place: float, name: str) -> None:
    both = axes.get_xaxis_transform()
    axes.plot(
        [at, place, place], [1.0, 1.05, 1.065], color=MUTED, linewidth=0.5, transform=both, clip_on=False
    )
    axes.text(
        place, 1.075, name, rotation=90, ha="center", va="bottom", fontsize=7.2, color=INK, transform=both
    )
