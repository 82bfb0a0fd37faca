"""The open questions of the method, answered by measurement: ``python -m flows.questions MODEL``.

Which combination over windows locates best, what the number and the source of baselines do, which windows
respond to which anomaly, what explanations cost against gradients, and the published headline. Writes JSON,
the tables of docs/evaluation.md, and its figures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from cyclopts import App, Parameter
from numpy.typing import NDArray
from rich.console import Console

from engine.evaluation.baseline_questions import answer_baselines
from engine.evaluation.explained_planted import NEAREST, PUBLISHED, ExplanationSettings
from engine.evaluation.explanation_figure import two_oddities_figure
from engine.evaluation.explanation_tables import baseline_table
from engine.evaluation.fresh_spectra import FreshSettings
from engine.evaluation.planted_spectra import prepare_ground
from engine.evaluation.two_oddities import TwoOddities, two_oddities
from flows.explained_evaluation import explain_evaluation, save_judgement, show_judgement
from flows.progress_bar import counting
from models.weights import load_model

LINE_STRENGTH, STEP_STRENGTH = 60.0, 250.0
"""Sigma of the two anomalies of the headline."""
RIVAL = "mean"
"""The combination that is shown beside the published one."""

app = App(help=__doc__)


@app.default
def main(
    model: str,
    *,
    out: Path = Path("questions"),
    spectra: Annotated[int, Parameter(help="Clean spectra to simulate.")] = 160,
    explained: Annotated[int, Parameter(help="Explained of each kind and strength.")] = 6,
    baselines: Annotated[int, Parameter(help="Explained of each kind into up to 64 baselines.")] = 2,
    seed: Annotated[int, Parameter(help="Of spectra and anomalies.")] = 1,
    templates: Annotated[Path | None, Parameter(help="Directory of redrock templates.")] = None,
    sky: Annotated[Path | None, Parameter(help="Directory of real sky fibres.")] = None,
) -> None:
    """Measure MODEL and write what was found to OUT."""
    console = Console(stderr=True)
    torch.set_num_threads(1)
    scoring = load_model(model)
    out.mkdir(parents=True, exist_ok=True)
    with counting(console, "simulate") as progress:
        ground = prepare_ground(scoring.card, FreshSettings(spectra, seed, templates, sky), progress=progress)
    headline = two_oddities(scoring, ground, LINE_STRENGTH, STEP_STRENGTH)
    two_oddities_figure(headline, NEAREST + RIVAL).savefig(out / "two-oddities.png", dpi=110)
    judgement = explain_evaluation(scoring, ground, ExplanationSettings(explained), console)
    save_judgement(judgement, out)
    show_judgement(console, judgement)
    with counting(console, "baselines") as progress:
        answers = answer_baselines(scoring, ground, ExplanationSettings(baselines), progress=progress)
    tables = [baseline_table(answers, name) for name in (PUBLISHED, RIVAL)]
    (out / "baselines.md").write_text("\n".join(table.markdown() for table in tables), encoding="utf-8")
    answered = {
        "model": scoring.card.name,
        "digest": scoring.card.digest,
        "baselines": [each.to_dict() for each in answers],
        "two_oddities": {
            "shown": {name: headline.shown(each) for name, each in headline.rivals.items()},
            "windows": _shown(headline, headline.maps),
            "nearest_windows": _shown(headline, headline.near_maps),
            "redshift": headline.redshift,
            "tail_probability": headline.tail_probability,
        },
    }
    (out / "questions.json").write_text(json.dumps(answered, indent=1) + "\n", encoding="utf-8")


def _shown(found: TwoOddities, maps: NDArray[np.float32]) -> dict[str, tuple[float, float]]:
    return {str(width): found.shown(each) for width, each in zip(found.windows.tolist(), maps, strict=True)}


if __name__ == "__main__":
    app()
