"""The picture of a training: its losses and learning rate by epoch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from engine.figures.palette import BASELINE, GRID, INK, MARK, MUTED, ODD

if TYPE_CHECKING:
    from flows.training.history import EpochRecord


def curves_png(epochs: Sequence[EpochRecord]) -> bytes:
    """A column for every stage of a training: its losses above, the learning rate below."""
    stages = list(dict.fromkeys(epoch.stage for epoch in epochs))
    figure = Figure(figsize=(5.2 * max(len(stages), 1), 4.6), facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        2, max(len(stages), 1), sharex="col", squeeze=False, gridspec_kw={"height_ratios": (3, 1)}
    )
    for column, stage in enumerate(stages):
        of_stage = [epoch for epoch in epochs if epoch.stage == stage]
        _losses(panels[0][column], of_stage)
        _rates(panels[1][column], of_stage)
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _losses(axes: Axes, epochs: Sequence[EpochRecord]) -> None:
    number = [epoch.epoch for epoch in epochs]
    axes.plot(number, [epoch.training_loss for epoch in epochs], color=BASELINE, lw=1.6, label="training")
    axes.plot(number, [epoch.validation_loss for epoch in epochs], color=ODD, lw=1.6, label="held out")
    if best := [epoch for epoch in epochs if epoch.best]:
        kept = best[-1]
        axes.plot(
            [kept.epoch], [kept.validation_loss], "o", color=MARK, ms=7, label=f"kept: epoch {kept.epoch}"
        )
    seconds = sum(epoch.seconds for epoch in epochs)
    axes.set_title(f"{epochs[0].stage}, {seconds:,.0f} s", loc="left", fontsize=10, color=INK)
    axes.set_ylabel("loss", color=INK)
    axes.legend(frameon=False, fontsize=9)
    plain(axes)


def _rates(axes: Axes, epochs: Sequence[EpochRecord]) -> None:
    axes.plot(
        [epoch.epoch for epoch in epochs], [epoch.learning_rate for epoch in epochs], color=MUTED, lw=1.4
    )
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("learning rate", color=INK, fontsize=9)
    axes.set_xlabel("epoch", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    plain(axes)


def plain(axes: Axes) -> None:
    """A light grid behind the curves, and no frame above and at the right."""
    axes.grid(color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK, width=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
