"""One explained spectrum, computed now or kept in a store: in the terminal, as JSON, as a figure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from engine.attribution.cautions import cautions_in
from engine.attribution.explanation import Explanation
from engine.attribution.places import NO_PLACE
from engine.figures.spectrum_score import SpectrumScore
from engine.spectra.observation import Observation
from engine.surveys.identifiers import shown_identifiers
from flows.console import facts
from models.causes.estimate import Estimate


@dataclass(frozen=True)
class ExplainedSpectrum:
    """A spectrum with its score and its explanation.

    Attributes
    ----------
    explanation, score : of the spectrum.
    model, digest : name and digest of the scoring model.
    method : name of the method that explained it.
    source : file of the spectrum.
    spectra : number of spectra that were looked at to find it.
    observation : where in the instrument it was taken.
    warnings : what the user should know of the score.
    normalisation : flux that the spectrum was divided by, 1e-17 erg / (s cm2 Angstrom).
    """

    explanation: Explanation
    score: SpectrumScore
    model: str
    digest: str
    method: str
    source: str
    spectra: int
    observation: Observation
    warnings: tuple[str, ...] = ()
    normalisation: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, maps left out; ``target_id`` is text, because it exceeds 2**53."""
        explained = self.explanation
        significance = explained.significance(self.spectra)
        (identifier,) = shown_identifiers(explained.grid, np.array([explained.target_id], dtype=np.int64))
        return {
            "key": explained.key,
            "target_id": str(identifier),
            "source": self.source,
            "redshift": explained.redshift,
            "spectype": self.score.spectype,
            "observation": self.observation.to_dict(),
            "model": self.model,
            "model_digest": self.digest,
            "method": self.method,
            "score": self.score.score,
            "tail_probability": self.score.tail_probability,
            "tail_uncertainty": self.score.tail_uncertainty,
            "cause": explained.cause,
            "cause_probability": explained.cause_probability,
            "instrument_probability": explained.instrument_probability,
            "other_class": explained.other_class,
            "estimates": [_estimate(each) for each in explained.estimates],
            "not_testable": explained.not_testable.split(),
            "significance": {**asdict(significance), "by_chance": significance.by_chance},
            "places": [{**asdict(place), "flux": place.flux} for place in explained.places],
            "largest_attribution": float(np.nanmax(explained.combined)),
            "attribution_unit": explained.units.combined,
            "windows": list(explained.scales),
            "cautions": [caution.label for caution in cautions_in(explained.cautions)],
            "warnings": list(self.warnings),
        }

    def facts(self) -> list[tuple[str, str]]:
        """How odd the spectrum is and where, each with its name, for people."""
        explained, score = self.explanation, self.score
        rows = [
            ("redshift", f"{explained.redshift:.5f} {score.spectype}"),
            *self.observation.facts,
            ("model", f"{self.model} ({self.digest[:12]})"),
            ("explained by", self.method),
            ("score", f"{score.score:.3f}"),
            ("tail probability", f"{score.tail_text}: the share of usual spectra as odd"),
        ]
        rows.append(("cause", str(explained.named_cause)))
        if explained.estimates:
            rows.append(("estimates", "; ".join(map(str, explained.estimates))))
        if explained.not_testable:
            rows.append(("not testable", explained.not_testable_causes))
        rows += [("place", str(place)) for place in explained.places] or [("places", NO_PLACE)]
        rows.append(("significance", str(explained.significance(self.spectra))))
        return rows

    def show(self, console: Console) -> None:
        """Print how odd the spectrum is and where."""
        console.print(facts(self.explanation.key, self.facts()))
        for warning in self.warnings:
            console.print(warning, style="yellow")
        for caution in cautions_in(self.explanation.cautions):
            console.print(f"{caution.label}: {caution.meaning}. {caution.remedy}", style="yellow")

    def draw(self, path: Path) -> None:
        """Write the figure.

        Raises
        ------
        InputError : it cannot be written.
        """
        # Imported here: a command that draws nothing does without matplotlib.
        from engine.figures.explanation import explanation_figure
        from engine.figures.figure_file import save_figure

        save_figure(explanation_figure(self.explanation, self.score, self.method), path)


def _estimate(estimate: Estimate) -> dict[str, object]:
    quantity = estimate.quantity
    return {
        "quantity": quantity.name,
        "unit": quantity.unit,
        "value": estimate.value,
        "error": estimate.error,
    }
