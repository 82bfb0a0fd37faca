"""Figure of a comparison with real spectra: scores by label, and misfit by wavelength."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from engine.evaluation.labelled_spectra import LabelledSpectra, ScoredSpectra
from engine.evaluation.real_comparison import THRESHOLD, Distance, Group


def real_figure(
    labelled: LabelledSpectra, scored: ScoredSpectra, groups: list[Group], distance: Distance | None
) -> Figure:
    """Every score as a dot in the line of its label, flagged ones filled; beside it noise and misfit."""
    figure = Figure(figsize=(13, 1.6 + 0.4 * len(groups)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    shown = [group for group in groups if group.scored]
    for line, group in enumerate(reversed(shown)):
        here = (labelled.label == group.label) & scored.scored
        flagged = scored.tail[here] <= THRESHOLD
        values = scored.score[here]
        left.plot(values[flagged], np.full(flagged.sum(), line), "o", color="C3")
        left.plot(values[~flagged], np.full((~flagged).sum(), line), "o", color="C0", fillstyle="none")
    left.set_yticks(
        range(len(shown)),
        [f"{group.label} ({group.flagged} of {group.scored})" for group in reversed(shown)],
        parse_math=False,
    )
    left.set_xscale("symlog", linthresh=10.0)
    left.set_xlabel(f"score; filled: tail probability at most {THRESHOLD}")
    if distance is not None:
        middle = [0.5 * (band.low + band.high) for band in distance.bands]
        for name, colour in (("real", "C1"), ("simulated", "C2")):
            right.plot(
                middle, [getattr(band, f"{name}_noise") for band in distance.bands], "o-", color=colour,
                label=f"noise over sigma, {name}",
            )  # fmt: skip
            right.plot(
                middle, [getattr(band, f"{name}_misfit") for band in distance.bands], "s--", color=colour,
                label=f"squared residual per pixel, {name}",
            )  # fmt: skip
        right.set_yscale("log")
        right.set_xlabel("observed wavelength, Angstrom")
        right.legend(fontsize="small")
    return figure
