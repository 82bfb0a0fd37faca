"""Evaluating a model on injected anomalies: without store, Ray or Prefect."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import torch
from rich.console import Console

from engine.evaluation.card_metrics import PREFIX, card_metrics
from engine.evaluation.detection import evaluate_detection
from engine.evaluation.figure import detection_figure
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.injected_spectra import CleanSpectra, prepare_clean_spectra
from engine.evaluation.markdown import detection_markdown
from engine.evaluation.results import DetectionResults, EvaluationSettings
from engine.simulation.anomalies import AnomalyKind
from flows.console import counting
from models.atomic_files import write_durably
from models.errors import ConfigurationError, ErrorKind, InputError
from models.model_card import ModelCard
from models.model_files import PRETRAINED, pretrained_names
from models.spectrum_model import SpectrumModel
from models.weights import load_model, save_model

RESULTS, FIGURE, TABLES = "results.json", "detection.png", "detection.md"
FALSE_POSITIVES = 0.01
THRESHOLD = 0.01
STRENGTHS = (3.0, 5.0, 10.0, 20.0, 40.0)
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
    """

    model: str
    held_out: HeldOutSettings
    strengths: tuple[float, ...] = STRENGTHS
    kinds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        unknown = [name for name in self.kinds if name not in KINDS]
        if unknown or not self.kinds:
            raise _setting("--kinds", ", ".join(unknown) or "none", ", ".join(KINDS))
        if not self.strengths or min(self.strengths) <= 0 or max(self.strengths) > 1000:
            raise _setting("--strengths", self.strengths, "above 0, at most 1000 sigma")

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
        )


@dataclass(frozen=True)
class Evaluation:
    """A model, the spectra on which it was evaluated, and what it found there."""

    model: SpectrumModel
    clean: CleanSpectra
    detection: DetectionResults


def evaluate(request: EvaluationRequest, threads: int, console: Console) -> Evaluation:
    """Simulate, inject, score; progress goes to ``console``.

    Raises
    ------
    InputError : there is no such model, or there are no templates.
    ConfigurationError : there is no simulation for the model's grid, classes or redshifts.
    """
    torch.set_num_threads(threads)
    model = load_model(request.model)
    settings = request.settings
    kinds = tuple(AnomalyKind(name) for name in settings.kinds)
    with counting(console, "simulate") as progress:
        clean = prepare_clean_spectra(model.card, request.held_out, kinds, progress)
    with counting(console, "inject and score") as progress:
        detection = evaluate_detection(model, clean, settings, progress)
    return Evaluation(model, clean, detection)


def make_output(directory: Path) -> None:
    """Make the directory of the results, before anything is computed.

    Raises
    ------
    InputError : it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(directory, error) from error


def save_results(results: DetectionResults, directory: Path) -> tuple[Path, ...]:
    """Write results, figure and tables; earlier ones are replaced.

    Raises
    ------
    InputError : they cannot be written.
    """
    figure = BytesIO()
    detection_figure(results).savefig(figure, dpi=110)
    contents = {
        RESULTS: (json.dumps(results.to_dict(), indent=1, allow_nan=False) + "\n").encode(),
        TABLES: detection_markdown(results).encode(),
        FIGURE: figure.getvalue(),
    }
    try:
        for name, content in contents.items():
            write_durably(directory / name, content)
    except OSError as error:
        raise _unwritable(directory, error) from error
    return tuple(directory / name for name in contents)


def load_results(path: Path) -> DetectionResults:
    """The results in a file that :func:`save_results` wrote.

    Raises
    ------
    InputError : there are none that this code reads.
    """
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            "The results of an evaluation cannot be read.",
            where=str(path),
            got=error,
            allowed=f"the {RESULTS} that `whyspec evaluate` writes",
            remedy="Name that file.",
            kind=ErrorKind.EVALUATION_RESULTS,
        ) from error
    return DetectionResults.from_dict(description, str(path))


def fill_card(name: str, results: DetectionResults) -> ModelCard:
    """Put what an evaluation found into the card of its model, in place of what an earlier one had.

    The card is part of what a model's digest is made of: the model gets a new one, and to a store it is
    another model. So this is done when a model is made, before it is used.

    Raises
    ------
    InputError : there is no such model.
    ConfigurationError : the results are of another model.
    """
    model = load_model(name)
    if results.digest != model.card.digest:
        raise ConfigurationError(
            "The results are of another model, or of this one before its card was changed.",
            where=f"model {name}",
            got=f"results of {results.model}, {results.digest}",
            allowed=model.card.digest,
            remedy="Evaluate the model anew with `whyspec evaluate`.",
            kind=ErrorKind.MODEL_DIGEST,
        )
    kept = {key: value for key, value in model.card.metrics.items() if not key.startswith(PREFIX)}
    model.card = replace(model.card, metrics={**kept, **card_metrics(results)})
    return save_model(model, PRETRAINED / name if name in pretrained_names() else Path(name))


def _setting(name: str, got: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        "A setting of the evaluation is out of range.",
        where=name,
        got=got,
        allowed=allowed,
        remedy="Give values that are allowed.",
        kind=ErrorKind.EVALUATION_SETTING,
    )


def _unwritable(directory: Path, error: OSError) -> InputError:
    return InputError(
        "The results of the evaluation cannot be written.",
        where=str(directory),
        got=error,
        allowed="a directory that may be written to",
        remedy="Name another --out.",
        kind=ErrorKind.OUTPUT_UNWRITABLE,
    )
