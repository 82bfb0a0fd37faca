"""The report's charts. Each is drawn from plain arrays and returned as a figure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from engine.report.line_labels import lines_within, spread_apart
from engine.report.observed_marks import ObservedMark
from engine.report.palette import BASELINE, CLUSTERS, GRID, INK, MARK, MUTED, ODD, RAW

_SIZE = (5.2, 3.5)
_WIDE = (6.6, 4.0)
_MANY = 4000


def score_histogram(score: NDArray[np.floating], outlier: NDArray[np.bool_], threshold: float) -> Figure:
    """Distribution of the scores with the outliers picked out; ``threshold`` is a tail probability."""
    figure, axes = _chart()
    finite = np.isfinite(score)
    values, chosen = score[finite], score[finite & outlier]
    if len(values):
        low, high = np.percentile(values, 0.05), float(values.max())
        edges = np.linspace(low, high if high > low else low + 1.0, 81)
        axes.hist(np.clip(values, low, None), edges.tolist(), color=RAW, label=f"scored: {len(values):,}")
        axes.hist(chosen, edges.tolist(), color=ODD, label=f"outliers: {len(chosen):,}")
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        if len(chosen):
            axes.axvline(float(chosen.min()), color=INK, linewidth=1.0, linestyle="--")
            axes.annotate(
                f"tail probability ≤ {threshold:g}",
                xy=(float(chosen.min()), 0.96),
                xycoords=("data", "axes fraction"),
                xytext=(5, 0),
                textcoords="offset points",
                va="top",
                fontsize=9.5,
                color=INK,
            )
        axes.legend(frameon=False, fontsize=9.5, loc="center right")
    _name(axes, "score  (−ln p, nat)", "spectra")
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
    x, y, odd = quantity[usable], score[usable], outlier[usable]
    if logarithmic:
        axes.set_xscale("log")
    if len(x) > _MANY:
        _draw_density(figure, axes, x, y, logarithmic=logarithmic)
    else:
        axes.plot(x[~odd], y[~odd], "o", color=MUTED, markersize=2.4, alpha=0.5, markeredgewidth=0.0)
    axes.plot(x[odd], y[odd], "o", color=ODD, markersize=3.0, alpha=0.8, markeredgewidth=0.0, rasterized=True)
    _name(axes, name, "score  (−ln p, nat)")
    return figure


def _draw_density(
    figure: Figure,
    axes: Axes,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    *,
    logarithmic: bool,
) -> None:
    low, high = np.percentile(x, [0.05, 99.95])
    edges = np.geomspace(low, high, 91) if logarithmic else np.linspace(low, high, 91)
    levels = np.linspace(float(np.percentile(y, 0.05)), float(np.percentile(y, 99.9)), 71)
    counts, _, _ = np.histogram2d(x, y, bins=(edges, levels))
    shown = np.ma.masked_less(counts.T, 1.0)
    most = max(10.0, float(counts.max()))
    mesh = axes.pcolormesh(edges, levels, shown, cmap="Greys", norm=LogNorm(0.3, most), rasterized=True)
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, aspect=28)
    bar.ax.set_ylim(1.0, most)
    bar.set_label("spectra", fontsize=9.5, color=INK)
    bar.ax.tick_params(labelsize=8.5)


def observed_peaks(
    peak: NDArray[np.float64], first: float, last: float, marks: tuple[ObservedMark, ...]
) -> Figure:
    """Where the outliers' attribution peaks on the instrument, with sky lines and arm overlaps."""
    figure, axes = _chart(_WIDE)
    values = peak[np.isfinite(peak)]
    axes.hist(values, np.linspace(first, last, 126).tolist(), color=ODD)
    for mark in marks:
        sky = "overlap" not in mark.name and "dichroic" not in mark.name
        shade = BASELINE if sky else MARK
        axes.axvspan(mark.first, mark.last, color=shade, alpha=0.28, linewidth=0.0, zorder=0)
    centres = np.array([0.5 * (mark.first + mark.last) for mark in marks])
    room = last - first
    for mark, centre, place in zip(
        marks, centres, spread_apart(centres, 0.026 * room, first, last), strict=True
    ):
        _leader(axes, centre, place, mark.name)
    axes.set_xlim(first, last)
    _name(axes, "observed wavelength of the peak (Å, vacuum)", "outliers")
    return figure


def rest_peaks(rest_peak: NDArray[np.float64]) -> Figure:
    """Where the outliers' attribution peaks in the rest frame, with spectral lines."""
    figure, axes = _chart(_WIDE)
    values = rest_peak[np.isfinite(rest_peak)]
    if len(values):
        low, high = float(values.min()) * 0.98, float(values.max()) * 1.02
        axes.hist(values, np.linspace(low, high, 126).tolist(), color=ODD)
        axes.set_xlim(low, high)
        _label_lines(axes, low, high)
    _name(axes, "rest wavelength of the peak (Å, vacuum)", "outliers")
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
