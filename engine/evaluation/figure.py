"""Detection against strength as a figure, a panel for each kind of anomaly."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from engine.evaluation.detectors import TAIL
from engine.evaluation.results import DetectionResults
from engine.evaluation.rivals import FOREST, LOCAL_OUTLIER, PCA_SCAN
from engine.figures.palette import BASELINE, GRID, INK, MARK, MUTED, ODD, RAW

COLUMNS = 3
_LINES = (
    (TAIL, ODD, "-", "tail probability"),
    (PCA_SCAN, BASELINE, "-", "rival: scan of a PCA's residual"),
    (LOCAL_OUTLIER, MARK, "-", "rival: local outlier factor"),
    (FOREST, MARK, ":", "rival: isolation forest"),
)


def detection_figure(results: DetectionResults) -> Figure:
    """Draw the area under the curve over the strength, with the bounds that no scorer passes.

    The band around the tail probability's line is its interval. The figure owns no pyplot state.
    """
    kinds = results.settings.kinds
    columns = min(COLUMNS, len(kinds))
    rows = math.ceil(len(kinds) / columns)
    figure = Figure(figsize=(3.9 * columns, 2.9 * rows + 0.9), facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place, axes in enumerate(panels.flat):
        if place < len(kinds):
            _draw(axes, results, kinds[place])
        else:
            axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("area under the curve", color=INK)
    for column in range(columns):
        lowest = max(row for row in range(rows) if row * columns + column < len(kinds))
        panels[lowest, column].set_xlabel("strength (σ)", color=INK)
        panels[lowest, column].tick_params(labelbottom=True)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, fontsize=9, frameon=False)
    figure.suptitle(
        f"{results.model}: injected anomalies against the same {results.settings.spectra:,} spectra without",
        x=0.01,
        ha="left",
        fontsize=11,
        color=INK,
        parse_math=False,
    )
    figure.tight_layout(rect=(0, 0.75 / (2.9 * rows + 0.9), 1, 0.99), w_pad=1.2)
    return figure


def _draw(axes: Axes, results: DetectionResults, kind: str) -> None:
    bounds = [each for each in results.bounds if each.kind == kind]
    for bound_style, bound_label, areas in (
        (":", "bound: shape and place known", [each.known_place.auc for each in bounds]),
        ("--", "bound: shape known", [each.unknown_place.auc for each in bounds]),
        ("-.", "clean spectrum known, nothing else", [each.unknown_shape.auc for each in bounds]),
        ((0, (6, 2)), "shape and covariance known", [each.known_covariance.auc for each in bounds]),
    ):
        axes.plot(
            [each.strength for each in bounds],
            areas,
            color=MUTED,
            linewidth=1.1,
            linestyle=bound_style,
            label=bound_label,
        )
    cells = [cell for strength in results.settings.strengths if (cell := results.cell(kind, strength))]
    strengths = [cell.strength for cell in cells]
    for detector, colour, style, label in _LINES:
        found = [cell.by(detector).auc for cell in cells]
        axes.plot(
            strengths,
            [each.value for each in found],
            color=colour,
            linestyle=style,
            linewidth=1.6,
            marker="o",
            markersize=3.5,
            label=label,
        )
        if detector == TAIL:
            lows, highs = [each.low for each in found], [each.high for each in found]
            axes.fill_between(strengths, lows, highs, color=colour, alpha=0.18, linewidth=0)
    axes.axhline(0.5, color=RAW, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(results.settings.strengths, [f"{each:g}" for each in results.settings.strengths])
    axes.minorticks_off()
    axes.set_ylim(0.42, 1.02)
    axes.set_title(kind.replace("_", " "), fontsize=10, color=INK, loc="left")
    axes.grid(color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK, width=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
