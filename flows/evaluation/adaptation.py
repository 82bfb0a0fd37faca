"""The proof of adapting: a shipped model is adapted to a reality that it has not seen, and compared.

The sample holds injected oddities, as a release does. Judged are other spectra of the same reality: whether
the tails of clean ones are even, and how many of the odd ones are found at a tail probability of 0.01. With
``--scratch`` a model is trained from nothing on the same sample, too.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from cyclopts import App, Parameter
from numpy.typing import NDArray

from engine.evaluation.foreign_reality import ForeignSpectra, RealitySettings, foreign_spectra
from flows.console import counting, notes
from flows.training.adapted import largest_deviation
from models.model_card import ModelCard
from models.scoring.scoring_model import ScoringModel
from models.signal_to_noise import signal_to_noise
from models.training.adapting import AdaptingSettings, adapt
from models.training.fit import TrainingPopulation, TrainingSettings, fit
from models.training.spectra import TrainingSpectra, TrainingSplit, batch_of, chunks
from models.weights import load_local_model

THRESHOLD = 0.01
ADAPTING_SHARES, TRAINING_SHARES = (0.25, 0.4), (0.1, 0.2)
"""Of the sample, for the validation split and for the calibration split."""


def split(spectra: ForeignSpectra, shares: tuple[float, float]) -> TrainingSplit:
    """The sample in three parts; its order is a random one."""
    count = len(spectra)
    whole = TrainingSpectra(spectra.flux, spectra.ivar, spectra.redshift)
    first = int(shares[0] * count)
    ends = [first, first + int(shares[1] * count)]
    validation, calibration, training = np.split(np.arange(count), ends)
    return TrainingSplit(whole.take(training), whole.take(validation), whole.take(calibration))


def tails(model: ScoringModel, spectra: ForeignSpectra) -> NDArray[np.floating]:
    """Tail probabilities (n,) under the model."""
    whole = TrainingSpectra(spectra.flux, spectra.ivar, spectra.redshift)
    parts = []
    for index in chunks(len(spectra), 64):
        flux, ivar, redshift = batch_of(whole, index)
        with torch.inference_mode():
            score = model.outputs(flux, ivar, redshift).score.numpy()
        parts.append(model.tail_probability(score, signal_to_noise(flux, ivar), redshift.numpy()))
    return np.concatenate(parts)


def summary(name: str, found: NDArray[np.floating], odd: NDArray[np.bool_]) -> str:
    """One line: evenness of clean tails, false alarms and recall."""
    clean, carries = found[~odd], found[odd]
    # What the model would find if its tail were right.
    level = np.quantile(clean, THRESHOLD)
    return (
        f"{name}: {len(clean):,} clean, median tail {np.median(clean):.3f}, largest deviation "
        f"{largest_deviation(clean):.3f}, at or below {THRESHOLD:g} {np.mean(clean <= THRESHOLD):.4f}; "
        f"{len(carries):,} odd, found {np.mean(carries <= THRESHOLD):.3f}, at the clean ones' own hundredth "
        f"{np.mean(carries <= level):.3f}"
    )


def _population(card: ModelCard) -> TrainingPopulation:
    return TrainingPopulation(
        "scratch",
        "trained on the foreign reality",
        card.grid,
        card.classes,
        card.redshift_min,
        card.redshift_max,
        card.normalisation_min,
        card.normalisation_max,
        card.min_good_fraction,
        tuple(card.architecture["arm_edges"]),
    )


app = App(help=__doc__)


@app.default
def main(
    *,
    model: str = "desi-galaxy",
    templates: Path | None = None,
    sky: Path | None = None,
    spectra: Annotated[int, Parameter(help="Size of the sample.")] = 10_000,
    judged: Annotated[
        int, Parameter(help="Clean spectra that are judged; a third as many odd ones.")
    ] = 2_000,
    odd: Annotated[float, Parameter(help="Share of the sample with an injected oddity.")] = 0.02,
    seed: int = 11,
    threads: int = 2,
    scratch: Annotated[int, Parameter(help="Epochs of a model trained from nothing; 0 for none.")] = 0,
) -> None:
    """Adapt, judge, print."""
    console = notes()
    torch.set_num_threads(1)
    base = load_local_model(model)

    def drawn(count: int, number: int, share: float) -> ForeignSpectra:
        settings = RealitySettings(count, number, share, templates, sky)
        with counting(console, "simulate spectra") as progress:
            return foreign_spectra(base.card, settings, progress)

    sample, others = drawn(spectra, seed, odd), drawn(judged * 4 // 3, seed + 1, 0.25)
    console.print(summary("before", tails(base, others), others.odd), soft_wrap=True)
    adapted, begun = copy.deepcopy(base), time.monotonic()
    adapt(adapted, split(sample, ADAPTING_SHARES), AdaptingSettings(seed=seed, threads=threads))
    console.print(f"adapted to {len(sample):,} spectra in {time.monotonic() - begun:.0f} s")
    console.print(summary("adapted", tails(adapted, others), others.odd), soft_wrap=True)
    if scratch:
        settings = dataclasses.replace(TrainingSettings(), epochs=scratch, seed=seed, threads=threads)
        parts = split(sample, TRAINING_SHARES)
        trained = fit(parts, _population(base.card), settings, {"sample": len(sample)}, lambda *_: None)
        console.print(summary("from nothing", tails(trained, others), others.odd), soft_wrap=True)


if __name__ == "__main__":
    app()
