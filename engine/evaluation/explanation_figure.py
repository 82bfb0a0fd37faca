"""Figures of explanations: what each method locates by kind and strength; the spectrum with two oddities."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from engine.evaluation.explained_injections import NEAREST, PUBLISHED
from engine.evaluation.explanation_results import ExplanationResults
from engine.evaluation.explanation_summary import chance, share, summaries
from engine.evaluation.two_oddities import TwoOddities
from engine.figures.palette import BASELINE, CLUSTERS, INK, MARK, MUTED, ODD, RAW

_COLUMNS = 3
_SHOWN = (
    ("inverse-variance", "IMO as published"),
    ("nearest: inverse-variance", "IMO, nearest baselines"),
    ("nearest: mean", "IMO, nearest baselines, plain mean"),
    ("residual", "residual, best width"),
    ("gradient x input", "gradient × input"),
    ("integrated gradients", "integrated gradients"),
    ("occlusion by zero", "occlusion by zero, best width"),
)
_SMOOTHING = 9


def explanation_figure(results: ExplanationResults) -> Figure:
    """Draw the share of located spectra over the strength, a panel for each kind, with chance."""
    kinds = results.kinds
    columns = min(_COLUMNS, max(len(kinds), 1))
    rows = math.ceil(len(kinds) / columns) or 1
    figure = Figure(figsize=(3.9 * columns, 2.7 * rows + 0.9), facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for place, axes in enumerate(panels.flat):
        if place >= len(kinds):
            axes.set_visible(False)
            continue
        _draw_kind(axes, results, kinds[place])
        if place % columns == 0:
            axes.set_ylabel("peak on the injected pixels", color=INK)
        if place + columns >= len(kinds):
            axes.set_xlabel("strength (σ)", color=INK)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, fontsize=8.5, frameon=False)
    figure.suptitle(
        f"{results.model}: does the highest point of the map lie on what was injected?",
        x=0.01,
        ha="left",
        fontsize=11,
        color=INK,
        parse_math=False,
    )
    figure.tight_layout(rect=(0, 0.75 / (2.7 * rows + 0.9), 1, 0.99), w_pad=1.2)
    return figure


def two_oddities_figure(found: TwoOddities, combination: str) -> Figure:
    """Draw the spectrum, the maps per window, the published combined map, ``combination`` and others.

    Maps are of the baselines that the combination is of. Shaded: where the line and the step are. Beside
    every map: how often a pixel of the line, or of the step, is higher than one outside of both.
    """
    maps = found.near_maps if combination.startswith(NEAREST) else found.maps
    rows: list[tuple[str, NDArray[np.floating], str]] = [
        (f"window {width}", each, BASELINE) for width, each in zip(found.windows.tolist(), maps, strict=True)
    ]
    rows += [
        (f"combined:\n{name}", found.others[name], ODD) for name in dict.fromkeys((PUBLISHED, combination))
    ]
    others = ("gradient x input", "occlusion by zero", "occlusion by mean baseline")
    rows += [(name.replace(" by ", "\nby "), found.others[name], MARK) for name in others]
    figure = Figure(figsize=(11.0, 2.3 + 0.78 * len(rows)), facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        len(rows) + 1,
        1,
        sharex=True,
        gridspec_kw={"height_ratios": [2.6, *[1.0] * len(rows)], "hspace": 0.08},
    )
    _draw_spectrum(panels[0], found)
    for axes, (name, values, colour) in zip(panels[1:], rows, strict=True):
        _shade(axes, found)
        shown = np.where(found.ivar > 0, values, np.nan)
        axes.plot(found.wavelength, shown, color=colour, linewidth=0.8)
        axes.axhline(0, color=MUTED, linewidth=0.5)
        axes.set_yticks([])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8.5, color=INK)
        line, step = found.ranked(values)
        axes.text(
            1.005,
            0.5,
            f"line {line:.2f}\nstep {step:.2f}",
            transform=axes.transAxes,
            fontsize=7.5,
            va="center",
            color=MUTED,
        )
    panels[-1].set_xlabel("observed wavelength (Å)", color=INK)
    panels[0].set_xlim(found.wavelength[0], found.wavelength[-1])
    figure.subplots_adjust(left=0.13, right=0.93, top=0.96, bottom=0.05)
    return figure


def _draw_kind(axes: Axes, results: ExplanationResults, kind: str) -> None:
    colours = dict(zip([name for name, _ in _SHOWN], CLUSTERS, strict=False))
    best = {each.method: each for each in summaries(results, results.of(kind, detected=False))}
    for method, label in _SHOWN:
        width = best[method].width
        name = f"{method} {width}" if width else method
        points = []
        for strength in results.strengths:
            spectra = results.of(kind, strength, detected=False)
            if spectra:
                points.append((strength, share([each.found[name].located for each in spectra])))
        x = [strength for strength, _ in points]
        axes.plot(x, [each.value for _, each in points], color=colours[method], marker="o", ms=3, label=label)
        if method == _SHOWN[0][0]:
            low, high = [each.low for _, each in points], [each.high for _, each in points]
            axes.fill_between(x, low, high, color=colours[method], alpha=0.12, linewidth=0)
    axes.axhline(
        chance(results.of(kind, detected=False)).located,
        color=MUTED,
        linewidth=1.0,
        linestyle=(0, (4, 3)),
        label="by chance",
    )
    axes.set_title(kind.replace("_", " "), fontsize=10, color=INK, loc="left")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xscale("log")
    axes.set_xticks(results.strengths, [f"{strength:g}" for strength in results.strengths])
    axes.minorticks_off()


def _draw_spectrum(axes: Axes, found: TwoOddities) -> None:
    _shade(axes, found)
    kernel = np.ones(_SMOOTHING) / _SMOOTHING
    for values, colour, label in (
        (found.clean_flux, RAW, "before injecting"),
        (found.flux, INK, "with line and step"),
    ):
        smooth = np.convolve(values, kernel, "same")
        axes.plot(found.wavelength, smooth, color=colour, linewidth=0.8, label=label)
    low, high = np.quantile(found.flux[found.ivar > 0], (0.002, 0.9995))
    axes.set_ylim(min(low, 0.0), 1.15 * high)
    axes.set_ylabel("flux", rotation=0, ha="right", va="center", color=INK)
    axes.legend(loc="upper right", fontsize=8, frameon=False, ncols=2)
    axes.set_title(
        f"z = {found.redshift:.3f}, tail probability {found.tail_probability:.2g}", fontsize=10, loc="left"
    )


def _shade(axes: Axes, found: TwoOddities) -> None:
    span = axes.get_xaxis_transform()
    for region, colour in ((found.step, BASELINE), (found.line, ODD)):
        axes.fill_between(
            found.wavelength, 0, 1, where=region, transform=span, color=colour, alpha=0.14, linewidth=0
        )
