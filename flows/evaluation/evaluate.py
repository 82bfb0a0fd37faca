"""The evaluation of a model on injected anomalies and on labelled spectra, without store, Ray or Prefect."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from engine.evaluation.card_metrics import PREFIX, card_metrics
from engine.evaluation.detection import evaluate_detection
from engine.evaluation.figure import detection_figure
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.injected_spectra import CleanSpectra, prepare_clean_spectra
from engine.evaluation.labelled_spectra import read_labelled
from engine.evaluation.learnt import Learnt, learn
from engine.evaluation.markdown import detection_markdown
from engine.evaluation.results import DetectionResults, EvaluationSettings
from engine.evaluation.training_spectra import training_spectra
from engine.simulation.anomalies import AnomalyKind
from flows.console import counting
from flows.evaluation.labelled_spectra import LabelledComparison, compare_labelled
from flows.evaluation.output import write_output
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard
from models.spectrum_model import SpectrumModel
from models.weights import load_model, save_model

RESULTS, FIGURE, TABLES = "results.json", "detection.png", "detection.md"
FALSE_POSITIVES = 0.01
THRESHOLD = 0.01
STRENGTHS = (3.0, 5.0, 10.0, 20.0, 40.0)
RIVALS = 3000
"""Spectra from which rivals learn: two thirds train, one third says what is usual."""
LEAST_RIVALS = 60
KINDS = tuple(kind.value for kind in AnomalyKind)


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate, and how.

    Attributes
    ----------
    model : name or directory.
    held_out : the clean spectra to simulate; their seed is that of the anomalies too.
    strengths : of the anomalies, sigma.
    kinds : names of the anomalies.
    labelled : directory of labelled real spectra to compare; None for none.
    rivals : clean spectra of another seed to train rivals on.
    """

    model: str
    held_out: HeldOutSettings
    strengths: tuple[float, ...] = STRENGTHS
    kinds: tuple[str, ...] = KINDS
    labelled: Path | None = None
    rivals: int = RIVALS

    def __post_init__(self) -> None:
        unknown = [name for name in self.kinds if name not in KINDS]
        if unknown or not self.kinds:
            raise _setting("--kinds", ", ".join(unknown) or "none", ", ".join(KINDS))
        if not self.strengths or min(self.strengths) <= 0 or max(self.strengths) > 1000:
            raise _setting("--strengths", self.strengths, "above 0, at most 1000 sigma")
        if not LEAST_RIVALS <= self.rivals <= 100_000:
            raise _setting("--rivals", self.rivals, f"{LEAST_RIVALS} to 100000")

    @property
    def settings(self) -> EvaluationSettings:
        """The request as it is kept with the results."""
        return EvaluationSettings(
            spectra=self.held_out.spectra,
            seed=self.held_out.seed,
            strengths=tuple(sorted(set(self.strengths))),
            kinds=tuple(dict.fromkeys(self.kinds)),
            population=self.held_out.population,
            templates=self.held_out.templates is not None,
            sky=self.held_out.sky is not None,
            false_positives=FALSE_POSITIVES,
            threshold=THRESHOLD,
            rivals=self.rivals,
        )


@dataclass(frozen=True)
class Evaluation:
    """A model, the clean spectra of its evaluation, and the results."""

    model: SpectrumModel
    clean: CleanSpectra
    detection: DetectionResults
    labelled: LabelledComparison | None


def evaluate(request: EvaluationRequest, threads: int, console: Console) -> Evaluation:
    """Simulate, compare labelled spectra, inject, score; progress goes to ``console``.

    Raises
    ------
    InputError : there is no such model, there are no templates, or no labelled spectra on the model's grid.
    ConfigurationError : there is no simulation for the model's grid, classes or redshifts.
    """
    torch.set_num_threads(threads)
    model = load_model(request.model)
    settings = request.settings
    kinds = tuple(AnomalyKind(name) for name in settings.kinds)
    labelled = read_labelled(request.labelled, model.card.grid) if request.labelled else None
    with counting(console, "simulate") as progress:
        clean = prepare_clean_spectra(model.card, request.held_out, kinds, progress)
    comparison = compare_labelled(model, labelled, clean.spectra) if labelled else None
    # Rivals round as many threads do: the same seed gives the same numbers.
    with threadpool_limits(threads):
        learnt = _learnt(model.card, request, console)
        with counting(console, "inject and score") as progress:
            detection = evaluate_detection(model, clean, learnt, settings, progress)
    return Evaluation(model, clean, detection, comparison)


def _learnt(card: ModelCard, request: EvaluationRequest, console: Console) -> Learnt:
    start = time.process_time()
    with counting(console, "simulate others") as progress:
        spectra = training_spectra(card, request.held_out, request.rivals, progress)
    simulated = time.process_time()
    with counting(console, "train rivals") as progress:
        learnt = learn(spectra, progress)
    console.print(
        f"Rivals and population: {simulated - start:.0f} s of CPU to simulate {len(spectra):,} spectra, "
        f"{time.process_time() - simulated:.0f} s to learn from them."
    )
    return learnt


def save_results(results: DetectionResults, directory: Path) -> tuple[Path, ...]:
    """Write results, figure and tables; earlier ones are replaced.

    Raises
    ------
    InputError : they cannot be written.
    """
    text = json.dumps(results.to_dict(), indent=1, allow_nan=False) + "\n"
    tables, figure = detection_markdown(results), detection_figure(results)
    return write_output(directory, {RESULTS: text, TABLES: tables, FIGURE: figure})


def fill_card(name: str, results: DetectionResults, directory: Path) -> ModelCard:
    """Write a model with the rates of an evaluation in its card, in place of an earlier evaluation's.

    The model's digest covers the card: the model gets a new one, and to a store it is another model. So fill
    the card before stores are made with the model.

    Raises
    ------
    InputError : there is no such model, or the directory cannot be written to.
    ConfigurationError : the results are of another model.
    """
    model = load_model(name)
    if results.digest != model.card.digest:
        raise ConfigurationError(
            "The model has changed since it was evaluated.",
            where=f"model {name}",
            got=f"results of {results.model}, {results.digest}",
            allowed=model.card.digest,
            remedy="Evaluate the model anew with `whyspec evaluate`.",
            kind=ErrorKind.MODEL_DIGEST,
        )
    kept = {key: value for key, value in model.card.metrics.items() if not key.startswith(PREFIX)}
    model.card = replace(model.card, metrics={**kept, **card_metrics(results)})
    return save_model(model, directory)


def _setting(name: str, got: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        "A setting of the evaluation is out of range.",
        where=name,
        got=got,
        allowed=allowed,
        remedy="Give values that are allowed.",
        kind=ErrorKind.EVALUATION_SETTING,
    )
