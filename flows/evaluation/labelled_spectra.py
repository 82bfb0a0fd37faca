"""Labelled real spectra under a model: compared with each other and with simulated ones, shown, written."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.evaluation.labelled_spectra import LabelledSpectra, ScoredSpectra, score_all
from engine.evaluation.real_comparison import (
    ORDINARY,
    Distance,
    Group,
    Repeats,
    distance,
    groups,
    repeats,
)
from engine.evaluation.real_figure import real_figure
from engine.spectra.spectra import Spectra
from flows.console import json_ready
from flows.evaluation.output import write_output
from models.spectrum_model import SpectrumModel

RESULTS, FIGURE = "labelled.json", "labelled.png"


@dataclass(frozen=True, eq=False)
class LabelledComparison:
    """Labelled spectra under a model.

    Attributes
    ----------
    model, digest : of the model.
    labelled, scored : the spectra, and their scores.
    groups : by label, the ordinary galaxies first.
    repeats : objects observed more than once.
    distance : of the ordinary galaxies from simulated spectra; None if no ordinary galaxy has a score.
    """

    model: str
    digest: str
    labelled: LabelledSpectra
    scored: ScoredSpectra
    groups: tuple[Group, ...]
    repeats: tuple[Repeats, ...]
    distance: Distance | None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description; what is not known is null."""
        described: dict[str, Any] = json_ready(
            {
                "model": {"name": self.model, "digest": self.digest},
                "quarantined": self.labelled.quarantined,
                "groups": [asdict(group) for group in self.groups],
                "repeats": [asdict(item) for item in self.repeats],
                "distance": asdict(self.distance) if self.distance else None,
            }
        )
        return described


def compare_labelled(
    model: SpectrumModel, labelled: LabelledSpectra, simulated: Spectra
) -> LabelledComparison:
    """Score ``labelled`` spectra, whatever their class, and clean ``simulated`` ones, and compare them."""
    scored = score_all(model, labelled.spectra)
    ordinary = scored.take(labelled.label == ORDINARY)
    wavelength = model.card.grid.wavelength()
    apart = distance(ordinary, score_all(model, simulated), wavelength) if np.any(ordinary.scored) else None
    return LabelledComparison(
        model.card.name,
        model.card.digest,
        labelled,
        scored,
        tuple(groups(labelled, scored)),
        tuple(repeats(labelled, scored)),
        apart,
    )


def show_labelled(console: Console, comparison: LabelledComparison) -> None:
    """Print the groups, and the distance from simulated spectra."""
    table = Table(
        title="Labelled spectra", title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    for name in ("label", "spectra", "scored", "flagged", "median score", "above ordinary"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for group in comparison.groups:
        above = group.above_ordinary
        table.add_row(
            group.label,
            str(group.spectra),
            str(group.scored),
            str(group.flagged),
            f"{group.score:.1f}" if group.scored else "",
            f"{above.value:.2f} ({above.low:.2f} to {above.high:.2f})" if above else "",
        )
    console.print()
    console.print(table)
    if comparison.distance is not None:
        apart, alike = comparison.distance.apart, comparison.distance.apart_alike
        console.print(
            f"Ordinary galaxies score above simulated spectra in {apart.value:.0%} of pairs "
            f"({apart.low:.0%} to {apart.high:.0%}), in {alike:.0%} of those of like S/N and redshift."
        )


def save_labelled(comparison: LabelledComparison, directory: Path) -> tuple[Path, ...]:
    """Write JSON and figure; earlier ones are replaced.

    Raises
    ------
    InputError : they cannot be written.
    """
    text = json.dumps(comparison.to_dict(), indent=1, allow_nan=False) + "\n"
    figure = real_figure(comparison.labelled, comparison.scored, list(comparison.groups), comparison.distance)
    return write_output(directory, {RESULTS: text, FIGURE: figure})
