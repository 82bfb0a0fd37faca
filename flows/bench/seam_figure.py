"""The figure of a seam: which positions of every layer a pasted window makes anew."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from engine.attribution.occlusion.network import Network, take_apart
from engine.figures.palette import BASELINE, MUTED, ODD, RAW
from models.scoring.scoring_model import ScoringModel

_FIRST, _PIXELS = 3500, 420
_WINDOW = (3612, 3612 + 160)
_REDSHIFT = 0.2
_CALIBRATION = (3, 700)
"""Places of baseline and spectrum among the calibration spectra."""


def seam_figure(model: ScoringModel) -> Figure:
    """A window pasted into a baseline, and every layer's positions by what they see.

    The reach of the model's own layers decides; the spectrum is a calibration spectrum with noise.
    """
    card = model.card
    pixels = card.grid.size
    redshift = min(max(_REDSHIFT, card.redshift_min), card.redshift_max)
    chosen = np.array(_CALIBRATION) % model.calibration_size
    with torch.no_grad():
        double = model.double()
        drawn = double.baselines(redshift, chosen)
        score = double.conditioned(drawn[1], torch.ones_like(drawn[1]), redshift)
        network = take_apart(score, pixels, torch.device("cpu"))
        baseline, other = drawn.numpy()
    spectrum = other + 0.12 * np.random.default_rng(4).normal(size=pixels)
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.3))
    seen = np.arange(_FIRST, _FIRST + _PIXELS)
    inside = (seen >= _WINDOW[0]) & (seen < _WINDOW[1])
    above.plot(seen, baseline[seen], color=MUTED, lw=1.2, label="baseline b")
    above.plot(seen, spectrum[seen], color=BASELINE, lw=0.6, alpha=0.35, label="spectrum x")
    above.plot(seen, np.where(inside, spectrum[seen], np.nan), color=BASELINE, lw=1.2)
    above.set_ylabel("flux")
    above.set_ylim(0.45, 1.75)
    above.legend(loc="upper right", frameon=False, ncols=2, fontsize=9)
    _draw_layers(below, network)
    for axes in (above, below):
        for seam in _WINDOW:
            axes.axvline(seam - 0.5, color="black", lw=0.8, ls=":")
        axes.spines[["top", "right"]].set_visible(False)
    below.set_xlim(_FIRST, _FIRST + _PIXELS)
    below.set_xlabel("pixel")
    handles = [
        Patch(color=RAW, label="sees b only: known from one pass over b"),
        Patch(color=BASELINE, label="sees x only: known from one pass over x"),
        Patch(color=ODD, label="straddles a seam: computed, once for all windows with this seam"),
    ]
    figure.legend(handles=handles, loc="outside lower center", frameon=False, ncols=1, fontsize=9)
    return figure


def _draw_layers(axes: Axes, network: Network) -> None:
    names = []
    for row, stage in enumerate(network.stages):
        reach = stage.reach
        centre = (reach.after - reach.before) / 2
        for position in range(reach.first(_FIRST) - 1, reach.last(_FIRST + _PIXELS) + 2):
            low, high = reach.stride * position - reach.before, reach.stride * position + reach.after
            touched = [seam for seam in _WINDOW if low < seam <= high]
            colour = ODD if touched else RAW
            if not touched and _WINDOW[0] <= low and high < _WINDOW[1]:
                colour = BASELINE
            left = reach.stride * position + centre - reach.stride / 2
            cell = Rectangle(
                (left, -row - 0.36), reach.stride, 0.72, facecolor=colour, edgecolor="white", lw=0.8
            )
            axes.add_patch(cell)
        names.append(f"layer {row + 1}\nsees {reach.field} pixels")
    axes.set_yticks([-row for row in range(len(names))], names)
    axes.set_ylim(-len(names) + 0.45, 0.55)
