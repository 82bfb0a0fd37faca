"""The cost of explanations by a model that is run anew for every window: a warning before a run begins."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from engine.attribution.method import MethodSettings
from engine.attribution.methods import DEFAULT_METHOD, method_of
from flows.console import duration
from models.local.local_score import LocalScore
from models.log_events import log_event
from models.model_card import ModelCard
from models.spectrum_model import SpectrumModel
from models.weights import load_model

WORTH_TELLING = 30.0
"""Seconds for one explanation from which on a run says how long it will take."""

_TRIED = 4
_QUICKER = "Fewer --windows or --baselines, wider windows, or --preset reference-code"
"""Of the default method, which has options of its own."""
_QUICKER_OF_OTHERS = "Other --setting values or another --method (whyspec methods says what each takes)"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PassesEstimate:
    """What one explanation takes on one processor, without masked pixels.

    Attributes
    ----------
    passes : of the whole model; seconds : for all of them, from a few that were timed here.
    """

    passes: int
    seconds: float


def estimated_passes(model: SpectrumModel, settings: MethodSettings) -> PassesEstimate | None:
    """The estimate, on this process's threads; None for a model and a method that go by seams."""
    card = model.card
    redshift = 0.5 * (card.redshift_min + card.redshift_max)
    baselines = model.baselines(redshift, np.arange(min(_TRIED, model.calibration_size)))
    log_prob = model.conditioned(baselines[0], torch.ones_like(baselines[0]), redshift)
    if isinstance(log_prob, LocalScore) and method_of(settings).by_seams(settings):
        return None
    with torch.inference_mode():
        log_prob(baselines)
        begun = time.perf_counter()
        log_prob(baselines)
        each = (time.perf_counter() - begun) / len(baselines)
    passes = method_of(settings).passes(settings, card.grid.size)
    return PassesEstimate(passes, passes * each)


def warn_of_dense_cost(models: Sequence[str], cards: Sequence[ModelCard], settings: MethodSettings) -> None:
    """Log a warning for every model of a run whose explanations take long.

    Parameters
    ----------
    models : name or directory of each; cards : theirs.
    """
    by_seams = method_of(settings).by_seams(settings)
    quicker = _QUICKER if settings.method == DEFAULT_METHOD else _QUICKER_OF_OTHERS
    for location, card in zip(models, cards, strict=True):
        estimate = (
            None if card.kind == "local" and by_seams else estimated_passes(load_model(location), settings)
        )
        if estimate is None or estimate.seconds < WORTH_TELLING:
            continue
        log_event(
            _LOG,
            logging.WARNING,
            "dense-cost",
            f"Each explanation by {card.name} takes {estimate.passes:,} passes of the model, about "
            f"{duration(estimate.seconds)} on one CPU. {quicker} make it "
            "quicker; a lower --threshold makes fewer.",
            model=card.name,
            passes=estimate.passes,
            seconds=round(estimate.seconds, 1),
        )
