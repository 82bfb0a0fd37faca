"""Learnt: rivals and the population's covariance, from clean spectra of another seed than the judged ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.evaluation.population import Population
from engine.evaluation.rivals import Rivals, train_rivals
from engine.evaluation.training_spectra import TrainingSpectra


@dataclass(frozen=True)
class Learnt:
    """Rivals of the model, and how usual spectra differ."""

    rivals: Rivals
    population: Population


def learn(spectra: TrainingSpectra, progress: Callable[[int, int], None] = lambda *_: None) -> Learnt:
    """From clean spectra, none of which is judged; ``progress`` is called with steps done and in all."""
    rivals = train_rivals(spectra, lambda done, total: progress(done, total + 1))
    learnt = Learnt(rivals, Population.of(spectra))
    progress(4, 4)
    return learnt
