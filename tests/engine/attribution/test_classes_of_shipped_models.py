"""Another class, by the shipped models: spectra of one class that a pipeline took for another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.attribution.other_models import OtherModels
from engine.evaluation.held_out_spectra import on_grid
from engine.simulation.broad_spectrum import spectrum_maker
from engine.simulation.settings import SimulationSettings
from engine.spectra.normalisation import normalise
from engine.spectra.scorer import Scorer
from models.causes.estimate import UsualElsewhere
from models.causes.names import ANOTHER_CLASS, WRONG_REDSHIFT
from models.model_files import pretrained_for
from models.scoring.better_redshift import misfit
from models.spectrum_model import SpectrumModel
from models.weights import load_model

NAMES = pretrained_for("desi")
SPECTRA = 8
CLEAN = SimulationSettings(
    "desi",
    SPECTRA,
    outlier_fraction=0.0,
    seed=9202,
    template_fraction=0.5,
    sky_fraction=0.0,
    broken_fraction=0.0,
    population="broad",
)


@pytest.fixture(scope="module")
def models() -> list[SpectrumModel]:
    return [load_model(name) for name in NAMES]


def misread(
    models: list[SpectrumModel], simulated: SimulationSettings, own: int, redshift: float
) -> tuple[int, list[tuple[float, UsualElsewhere]]]:
    """Of simulated spectra that model ``own`` scores at a wrong ``redshift``: how many are odd to it, and
    the true redshift of each of these with the model to which it is most usual."""
    make, model, others = spectrum_maker(simulated), models[own], OtherModels(models)
    found = []
    odd = 0
    for index in range(SPECTRA):
        spectrum = make(index)
        seen = on_grid(spectrum, model.card.grid, model.card.classes[0])
        seen.rows.data["redshift"] = redshift
        normalised = normalise(seen, model.card, ())
        if not normalised.scorable[0]:
            continue
        tail = float(Scorer(model).score(normalised, np.array([0])).tail_probability[0])
        if tail > 0.01:
            continue
        odd += 1
        flux, ivar = torch.tensor(normalised.flux[0]), torch.tensor(normalised.ivar[0])
        drawn = model.reconstructed(flux[None], ivar[None], torch.tensor([redshift], dtype=torch.float64))
        own_misfit = float(misfit(flux[None], ivar[None], drawn))
        elsewhere = others.usual_elsewhere(flux, ivar, own, tail, own_misfit)
        if elsewhere is not None and elsewhere.probability > 0.5:
            found.append((spectrum.source.redshift, elsewhere))
    return odd, found


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("shares", "own", "redshift", "right"),
    [
        ({"quasar_fraction": 1.0, "quasar_redshifts": (0.2, 1.1)}, "desi-galaxy", 0.31, "QSO"),
        ({"star_fraction": 1.0}, "desi-galaxy", 0.31, "STAR"),
        ({}, "desi-star", 0.0003, "GALAXY"),
        ({}, "desi-quasar", 0.83, "GALAXY"),
    ],
    ids=["quasars as galaxies", "stars as galaxies", "galaxies as stars", "galaxies as quasars"],
)
def test_a_misread_class_is_found_with_the_right_redshift(
    models: list[SpectrumModel],
    shares: dict[str, object],
    own: str,
    redshift: float,
    right: str,
    real_data: Path,
) -> None:
    simulated = replace(CLEAN, templates=real_data / "templates", **shares)  # type: ignore[arg-type]
    number = NAMES.index(own)
    odd, found = misread(models, simulated, number, redshift)
    assert odd >= 3
    named = [
        (truth, each) for truth, each in found if each.spectral_class == right and each.cause == ANOTHER_CLASS
    ]
    assert len(named) >= 0.7 * odd
    near = [abs(each.redshift - truth) < 0.005 * (1 + truth) for truth, each in named]
    assert np.mean(near) >= 0.8


@pytest.mark.real_data
def test_a_distant_galaxy_that_was_taken_for_a_near_one_has_a_wrong_redshift(
    models: list[SpectrumModel], real_data: Path
) -> None:
    simulated = replace(CLEAN, templates=real_data / "templates", seed=9203, galaxy_redshifts=(0.7, 1.5))
    odd, found = misread(models, simulated, NAMES.index("desi-galaxy"), 0.23)
    assert odd >= 3
    assert sum(each.cause == WRONG_REDSHIFT for _, each in found) >= 0.5 * odd
