"""The summary of a run by spectral class: how each fared with its model, and what to warn of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.store.blocks import ClassCount
from engine.store.routing import NO_MODEL, ModelReference, unmodelled
from models.model_card import ModelCard

SEVERE_SHARE = 0.9
"""Of a class's spectra: where more than that are outside its model's range, the model is the wrong one."""

_FEW = 20
"""Fewer spectra than this say nothing about whether the model is the right one."""


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """How the spectra of one class fared in a run.

    Attributes
    ----------
    spectype : the class; empty where the survey gives none.
    model : name of its model; empty if the run has none for it.
    spectra : spectra of the class with which the reader found nothing wrong.
    scored : of these, those that were.
    redshift_outside : of these, those without a score because the redshift is outside the model's range.
    snr_outside : of the scored, those whose S/N is outside the range that the model was calibrated on.
    """

    spectype: str
    model: str
    spectra: int
    scored: int
    redshift_outside: int
    snr_outside: int


@dataclass(frozen=True, slots=True)
class RunWarning:
    """What the user of a run should know; ``severe`` where its scores mean little."""

    text: str
    severe: bool


def class_summaries(
    counts: Sequence[ClassCount], models: Sequence[ModelReference]
) -> tuple[ClassSummary, ...]:
    """The counts with the names of their models."""
    return tuple(
        ClassSummary(
            spectype=count.spectype,
            model="" if count.model == NO_MODEL else models[count.model].name,
            spectra=count.spectra,
            scored=count.scored,
            redshift_outside=count.redshift_outside,
            snr_outside=count.snr_outside,
        )
        for count in counts
    )


def class_warnings(counts: Sequence[ClassCount], cards: Sequence[ModelCard]) -> tuple[RunWarning, ...]:
    """Warnings of classes without a model, and of spectra outside the ranges that the cards state."""
    warnings = []
    if without := unmodelled(counts):
        text = (
            f"No model of this run is for these spectra: {without}. They have a row and no score. For a new "
            "store, train a model for them with `whyspec train --population` and name all models with "
            "--model, or have a single model score them, whatever its card says, with --classes all."
        )
        warnings.append(RunWarning(text, severe=False))
    for count in counts:
        if count.model != NO_MODEL:
            warnings += _outside(count, cards)
    return tuple(warnings)


def _outside(count: ClassCount, cards: Sequence[ModelCard]) -> list[RunWarning]:
    name, card = count.spectype or "unclassified", cards[count.model]
    redshifts = f"{card.redshift_min:.3g} to {card.redshift_max:.3g}"
    ratios = f"{card.snr_min:.3g} to {card.snr_max:.3g}"
    outside = count.redshift_outside + count.snr_outside
    if count.spectra >= _FEW and outside > SEVERE_SHARE * count.spectra:
        text = (
            f"Nearly all {name} spectra, {outside:,} of {count.spectra:,}, are outside what {card.name} is "
            f"for (redshift {redshifts}, S/N {ratios}): their scores and tail probabilities mean little. "
            "Choose another --model, or train one on such spectra with `whyspec train --population`."
        )
        return [RunWarning(text, severe=True)]
    warnings = []
    if count.redshift_outside:
        ranges = ", ".join(f"{each.redshift_min:.3g} to {each.redshift_max:.3g}" for each in cards)
        text = (
            f"{count.redshift_outside:,} {name} spectra have a redshift that no model of this run is for "
            f"({ranges}): they have no score."
        )
        warnings.append(RunWarning(text, severe=False))
    if count.snr_outside:
        text = (
            f"{count.snr_outside:,} of {count.scored:,} scored {name} spectra have a S/N outside {ratios}, "
            f"the range on which {card.name} was calibrated: their tail probabilities are extrapolated."
        )
        warnings.append(RunWarning(text, severe=False))
    return warnings
