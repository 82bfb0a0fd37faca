"""The ablation of explanations: combinations over windows, single windows, baselines, and the cost.

It measures which combination locates best, which windows respond to which anomaly, the effect of number and
source of baselines, the cost against gradients, and the published headline. The tables are those of
docs/evaluation.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console

from engine.attribution.occlusion.combine import COMBINATIONS
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.evaluation.ablation_tables import headline_table, methods_table, window_table
from engine.evaluation.baseline_ablation import ablate_baselines
from engine.evaluation.explained_injections import NEAREST, PUBLISHED, ExplanationSettings
from engine.evaluation.explanation_figure import two_oddities_figure
from engine.evaluation.explanation_tables import (
    TextTable,
    baseline_table,
    caution_table,
    cost_table,
    located_table,
)
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.injected_spectra import CleanSpectra, prepare_clean_spectra
from engine.evaluation.two_oddities import TwoOddities, able_rows, two_oddities
from engine.simulation.anomalies import AnomalyKind
from flows.console import counting
from flows.evaluation.evaluate import THRESHOLD
from flows.evaluation.explained_evaluation import explain_evaluation
from flows.evaluation.output import write_output
from models.errors import ConfigurationError, ErrorKind
from models.spectrum_model import SpectrumModel
from models.weights import load_model

LINE_STRENGTH, STEP_STRENGTH = 150.0, 250.0
"""Sigma of the two anomalies of the headline."""
COMBINATION = f"{NEAREST}mean"
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
"""Windows and anomalies of the explanations with up to 64 baselines: all would take hours."""

Files = Mapping[str, str | Figure]


@dataclass(frozen=True)
class AblationRequest:
    """What to measure, and on how many spectra.

    Attributes
    ----------
    model : name or directory.
    held_out : the clean spectra to simulate.
    parts : names among :data:`PARTS`.
    explained : detected spectra of each kind and strength to explain by every method.
    headlines : spectra with a double-peaked line and a step, at most.
    baselines : spectra of each kind to explain with up to 64 baselines.

    Raises
    ------
    ConfigurationError : there is no such part, or none is named.
    """

    model: str
    held_out: HeldOutSettings
    parts: tuple[str, ...]
    explained: int = 2
    headlines: int = 9
    baselines: int = 1

    def __post_init__(self) -> None:
        unknown = [name for name in self.parts if name not in PARTS]
        if unknown or not self.parts:
            raise ConfigurationError(
                "There is no such part of the ablation.",
                where="--parts",
                got=", ".join(unknown) or "none",
                allowed=", ".join(PARTS),
                remedy="Name parts that are allowed.",
                kind=ErrorKind.EVALUATION_SETTING,
            )


@dataclass(frozen=True, eq=False)
class _Subject:
    """The model and the clean spectra."""

    model: SpectrumModel
    clean: CleanSpectra

    def of_kinds(self, kinds: Sequence[AnomalyKind]) -> CleanSpectra:
        """The clean spectra with the anomalies of ``kinds`` alone."""
        return replace(self.clean, shapes={kind: self.clean.shapes[kind] for kind in kinds})


def ablate(request: AblationRequest, directory: Path, threads: int, console: Console) -> tuple[Path, ...]:
    """Measure, part by part, and write JSON, tables and figures; returns their paths.

    Progress goes to ``console``.

    Raises
    ------
    InputError : there is no such model, there are no templates, or the directory cannot be written to.
    ConfigurationError : there is no simulation for the model's grid, or too few spectra to explain.
    """
    torch.set_num_threads(threads)
    model = load_model(request.model)
    with counting(console, "simulate") as progress:
        clean = prepare_clean_spectra(model.card, request.held_out, progress=progress)
    files: tuple[Path, ...] = ()
    for name in dict.fromkeys(request.parts):
        files += write_output(directory, PARTS[name](_Subject(model, clean), request, console))
    return files


def _headline(subject: _Subject, request: AblationRequest, console: Console) -> Files:
    model, clean = subject.model, subject.clean
    rows = able_rows(model, clean, LINE_STRENGTH, STEP_STRENGTH, THRESHOLD)[: request.headlines]
    if not rows:
        raise ConfigurationError(
            "No clean spectrum can carry both anomalies of the headline and be detected by either.",
            where="--spectra",
            got=len(clean),
            allowed="more spectra",
            remedy="Simulate more --spectra, or leave the part headline out.",
            kind=ErrorKind.EXPLANATION_SETTINGS,
        )
    found: list[TwoOddities] = []
    with counting(console, "headline") as progress:
        for row in rows:
            found.append(two_oddities(model, clean, row, LINE_STRENGTH, STEP_STRENGTH))
            progress(len(found), len(rows))
    clearest = max(found, key=lambda each: min(each.ranked(each.others[COMBINATION])))
    described = {"rows": rows, "spectra": [_described(each) for each in found]}
    return {
        "headline.json": _json(model, described),
        "headline.md": _tables([headline_table(found)]),
        "two-oddities.png": two_oddities_figure(clearest, COMBINATION),
    }


def _cost(subject: _Subject, request: AblationRequest, console: Console) -> Files:
    del request  # the cost is that of one spectrum
    settings = ExplanationSettings(1, STRENGTHS[-1:])
    results = explain_evaluation(subject.model, subject.of_kinds(BASELINE_KINDS[:1]), settings, console)
    return {"cost.md": _tables([cost_table(results)])}


def _methods(subject: _Subject, request: AblationRequest, console: Console) -> Files:
    settings = ExplanationSettings(request.explained, STRENGTHS, sampling="detected")
    results = explain_evaluation(subject.model, subject.clean, settings, console)
    tables = [
        methods_table(results),
        located_table(results, detected=True),
        window_table(results, "window", PUBLISHED),
        window_table(results, f"{NEAREST}window", COMBINATION),
        caution_table(results),
    ]
    return {"explanations.json": _json(subject.model, results.to_dict()), "explanations.md": _tables(tables)}


def _baselines(subject: _Subject, request: AblationRequest, console: Console) -> Files:
    occlusion = OcclusionSettings(windows=BASELINE_WINDOWS)
    settings = ExplanationSettings(
        request.baselines, STRENGTHS[-1:], occlusion=occlusion, sampling="detected"
    )
    with counting(console, "baselines") as progress:
        found = ablate_baselines(subject.model, subject.of_kinds(BASELINE_KINDS), settings, progress=progress)
    return {
        "baselines.json": _json(subject.model, {"baselines": [each.to_dict() for each in found]}),
        "baselines.md": _tables([baseline_table(found, name) for name in COMBINATIONS]),
    }


PARTS: dict[str, Callable[[_Subject, AblationRequest, Console], Files]] = {
    "headline": _headline,
    "cost": _cost,
    "methods": _methods,
    "baselines": _baselines,
}
"""The parts by their names."""


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


def _json(model: SpectrumModel, found: Mapping[str, Any]) -> str:
    return json.dumps({"model": model.card.name, "digest": model.card.digest, **found}, indent=1) + "\n"


def _tables(tables: Sequence[TextTable]) -> str:
    return "\n".join(table.markdown() for table in tables)
