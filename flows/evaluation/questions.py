"""The open questions of the method, answered by measurement: ``python -m flows.evaluation.questions MODEL``.

Which combination over windows locates best, what the number and the source of baselines do, which windows
respond to which anomaly, what explanations cost against gradients, and the published headline. Writes JSON,
the tables of docs/evaluation.md, and its figures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from cyclopts import App, Parameter
from numpy.typing import NDArray
from rich.console import Console

from engine.attribution.occlusion.settings import OcclusionSettings
from engine.evaluation.ablation_tables import headline_table, methods_table, window_table
from engine.evaluation.baseline_ablation import ablate_baselines
from engine.evaluation.combinations import COMBINATIONS
from engine.evaluation.explained_injections import NEAREST, PUBLISHED, ExplanationSettings
from engine.evaluation.explanation_figure import two_oddities_figure
from engine.evaluation.explanation_tables import (
    TextTable,
    baseline_table,
    cost_table,
    located_table,
    signature_table,
)
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.injected_spectra import CleanSpectra, prepare_clean_spectra
from engine.evaluation.two_oddities import TwoOddities, able_rows, two_oddities
from engine.simulation.anomalies import AnomalyKind
from flows import option_types
from flows.console import counting
from flows.evaluation.evaluate import THRESHOLD
from flows.evaluation.explained_evaluation import explain_evaluation
from models.atomic_files import atomic_file, write_durably
from models.spectrum_model import SpectrumModel
from models.weights import load_model

PARTS = ("headline", "cost", "methods", "baselines")
LINE_STRENGTH, STEP_STRENGTH = 150.0, 250.0
"""Sigma of the two anomalies of the headline."""
RIVAL = "mean/sigma"
"""The combination that is shown beside the published one."""
STRENGTHS = (20.0, 40.0)
"""Sigma of the explained anomalies: below, hardly any is detected."""
BASELINE_WINDOWS = (16, 64, 256, 1024)
BASELINE_KINDS = (
    AnomalyKind.BROAD_SHIFTED_LINES,
    AnomalyKind.SECOND_REDSHIFT,
    AnomalyKind.BROAD_ABSORPTION,
    AnomalyKind.ARM_STEP,
    AnomalyKind.DEAD_REGION,
)
"""What is explained into up to 64 baselines, and by which windows: all would take hours."""

app = App(help=__doc__)


@app.default
def main(
    model: str,
    *,
    out: Path = Path("questions"),
    parts: Annotated[str, Parameter(help="What to answer.")] = ",".join(PARTS),
    spectra: Annotated[int, Parameter(help="Clean spectra to simulate.")] = 160,
    explained: Annotated[int, Parameter(help="Detected, and explained, of each kind and strength.")] = 2,
    headlines: Annotated[int, Parameter(help="Spectra with a double-peaked line and a step.")] = 9,
    baselines: Annotated[int, Parameter(help="Explained of each kind into up to 64 baselines.")] = 1,
    seed: Annotated[int, Parameter(help="Seed of spectra and anomalies.")] = 1,
    templates: Annotated[Path | None, Parameter(help="Directory of redrock templates.")] = None,
    sky: Annotated[Path | None, Parameter(help="Directory of real sky fibres.")] = None,
) -> None:
    """Measure MODEL and write what was found to OUT."""
    console = Console(stderr=True)
    torch.set_num_threads(1)
    scoring = load_model(model)
    out.mkdir(parents=True, exist_ok=True)
    with counting(console, "simulate") as progress:
        clean = prepare_clean_spectra(
            scoring.card, HeldOutSettings(spectra, seed, templates, sky), progress=progress
        )
    asked = option_types.comma_list(parts)
    if "headline" in asked:
        rows = able_rows(scoring, clean, LINE_STRENGTH, STEP_STRENGTH, THRESHOLD)[:headlines]
        with counting(console, "headline") as progress:
            found = _headlines(scoring, clean, rows, progress)
        clearest = max(found, key=lambda each: min(each.ranked(each.others[NEAREST + RIVAL])))
        with atomic_file(out / "two-oddities.png") as partial:
            two_oddities_figure(clearest, NEAREST + RIVAL).savefig(partial, format="png", dpi=110)
        described = {"rows": rows, "spectra": [_described(each) for each in found]}
        _write_json(out / "headline.json", scoring, described)
        _write_tables(out / "headline.md", [headline_table(found)])
    if "cost" in asked:
        cost = ExplanationSettings(1, STRENGTHS[-1:], normal=1)
        costs = explain_evaluation(scoring, _of_kinds(clean, BASELINE_KINDS[:1]), cost, console)
        _write_tables(out / "cost.md", [cost_table(costs)])
    if "methods" in asked:
        settings = ExplanationSettings(explained, STRENGTHS, normal=4, sampling="detected")
        results = explain_evaluation(scoring, clean, settings, console)
        _write_json(out / "explanations.json", scoring, results.to_dict())
        tables = [
            methods_table(results),
            located_table(results, detected=True),
            window_table(results, "window", PUBLISHED),
            window_table(results, f"{NEAREST}window", NEAREST + RIVAL),
            signature_table(results),
        ]
        _write_tables(out / "explanations.md", tables)
    if "baselines" in asked:
        occlusion = OcclusionSettings(windows=BASELINE_WINDOWS)
        settings = ExplanationSettings(baselines, STRENGTHS[-1:], occlusion=occlusion, sampling="detected")
        with counting(console, "baselines") as progress:
            answers = ablate_baselines(scoring, _of_kinds(clean, BASELINE_KINDS), settings, progress=progress)
        _write_json(out / "baselines.json", scoring, {"baselines": [each.to_dict() for each in answers]})
        _write_tables(out / "baselines.md", [baseline_table(answers, name) for name in COMBINATIONS])


def _headlines(
    model: SpectrumModel, clean: CleanSpectra, rows: Sequence[int], progress: Callable[[int, int], None]
) -> list[TwoOddities]:
    found = []
    for row in rows:
        found.append(two_oddities(model, clean, row, LINE_STRENGTH, STEP_STRENGTH))
        progress(len(found), len(rows))
    return found


def _of_kinds(clean: CleanSpectra, kinds: Sequence[AnomalyKind]) -> CleanSpectra:
    return replace(clean, shapes={kind: clean.shapes[kind] for kind in kinds})


def _described(headline: TwoOddities) -> dict[str, Any]:
    return {
        "ranked": {name: headline.ranked(each) for name, each in headline.others.items()},
        "peaks": {name: headline.shown(each) for name, each in headline.others.items()},
        "windows": _ranked(headline, headline.maps),
        "nearest_windows": _ranked(headline, headline.near_maps),
        "redshift": headline.redshift,
        "tail_probability": headline.tail_probability,
    }


def _ranked(found: TwoOddities, maps: NDArray[np.float32]) -> dict[str, tuple[float, float]]:
    return {str(width): found.ranked(each) for width, each in zip(found.windows.tolist(), maps, strict=True)}


def _write_json(path: Path, model: SpectrumModel, answer: dict[str, Any]) -> None:
    whole = {"model": model.card.name, "digest": model.card.digest, **answer}
    write_durably(path, (json.dumps(whole, indent=1) + "\n").encode())


def _write_tables(path: Path, tables: Sequence[TextTable]) -> None:
    write_durably(path, "\n".join(table.markdown() for table in tables).encode())


if __name__ == "__main__":
    app()
