"""The result of adapting: the card of the adapted model, and a picture of what changed."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from engine.evaluation.card_metrics import PREFIX
from engine.figures.palette import BASELINE, CLUSTERS, INK, MUTED, ODD
from engine.spectra.source_file import ReleaseListing
from engine.training.request import AdaptingRequest
from flows.training.figure import plain
from models.model_card import ModelCard
from models.training.adapting import Adaptation

PICTURE = "adapted.png"

_SMALL = 0.01
"""A tail probability; spectra below it are outliers by default."""


def adapted_card(
    of: ModelCard,
    calibrated: ModelCard,
    changed: Adaptation,
    listing: ReleaseListing,
    request: AdaptingRequest,
) -> ModelCard:
    """The card of a model that was adapted from the model ``of``.

    Rates of an earlier evaluation are not the adapted model's, so they leave the card.

    Parameters
    ----------
    calibrated : the card as adapting left it.
    """
    release = listing.root.rstrip("/").rpartition("/")[2]
    metrics = {name: value for name, value in calibrated.metrics.items() if not name.startswith(PREFIX)}
    for when, tails in (("before", changed.tails_before), ("after", changed.tails_after)):
        if len(tails):
            metrics[f"adapting_median_tail_{when}"] = float(np.median(tails))
            metrics[f"adapting_tails_below_{_SMALL:g}_{when}"] = float(np.mean(tails <= _SMALL))
            metrics[f"adapting_largest_deviation_{when}"] = largest_deviation(tails)
    adapted = {
        "from": of.name,
        "from_digest": of.digest,
        "layout": listing.layout,
        "files": len(listing.files),
        "spectra_of": dict(changed.counts),
        "residual_factors": "fitted anew" if changed.factors else "kept: too few spectra",
        "outliers_left_out": {
            "parts": round(changed.left_out[0], 5),
            "calibration": round(changed.left_out[1], 5),
            "allowed": request.outliers,
        },
        "seed": request.seed,
    }
    return replace(
        calibrated,
        name=request.name,
        description=f"{of.name}, adapted to {listing.layout} files of {release}",
        training={**of.training, "adapted": adapted},
        metrics=metrics,
        digest="",
    )


def largest_deviation(tails: NDArray[np.floating]) -> float:
    """Of the distribution of tail probabilities, (m,), from the even one: the statistic of Kolmogorov."""
    ordered = np.sort(np.asarray(tails, np.float64))
    rank = np.arange(1, len(ordered) + 1) / len(ordered)
    return float(np.max(np.maximum(rank - ordered, ordered - rank + 1 / len(ordered))))


def adapting_png(changed: Adaptation) -> bytes:
    """Left the distribution of tail probabilities before and after, right the misfit of usual spectra."""
    figure = Figure(figsize=(10.4, 4.2), facecolor="white")
    FigureCanvasAgg(figure)
    tails, misfit = figure.subplots(1, 2)
    _tails(tails, changed)
    _misfit(misfit, changed)
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _tails(axes: Axes, changed: Adaptation) -> None:
    axes.plot((1e-4, 1), (1e-4, 1), color=MUTED, lw=1, ls=":", label="as many as the tail says")
    for values, colour, label in (
        (changed.tails_before, ODD, "before"),
        (changed.tails_after, BASELINE, "after"),
    ):
        ordered = np.sort(values)
        axes.plot(
            ordered, np.arange(1, len(ordered) + 1) / max(len(ordered), 1), color=colour, lw=1.6, label=label
        )
    axes.set(xscale="log", yscale="log", xlim=(1e-4, 1), ylim=(1e-4, 1.2))
    axes.set_xlabel("tail probability", color=INK)
    axes.set_ylabel("share of spectra at or below", color=INK)
    title = f"{len(changed.tails_after):,} spectra to which nothing was fitted"
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.legend(frameon=False, fontsize=9)
    plain(axes)


def _misfit(axes: Axes, changed: Adaptation) -> None:
    wavelength = 10.0**changed.log10_rest
    for width, (before, after) in enumerate(zip(changed.misfit_before, changed.misfit_after, strict=True)):
        colour = CLUSTERS[width % len(CLUSTERS)]
        axes.plot(wavelength, 100 * before, color=colour, lw=1, ls=":")
        axes.plot(wavelength, 100 * after, color=colour, lw=1.6, label=f"cells of width {width + 1}")
    axes.set(yscale="log")
    axes.set_xlabel("rest wavelength [Å]", color=INK)
    axes.set_ylabel("% of the normalising flux", color=INK)
    axes.set_title("misfit that is usual, before (dotted) and after", loc="left", fontsize=10, color=INK)
    axes.legend(frameon=False, fontsize=9)
    plain(axes)
