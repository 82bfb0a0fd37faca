"""Recipes of the shipped models give training sets of the class, grid and redshifts that they name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID
from flows.training.shipped_models import RECIPES, TO_SCORE, TO_TRAIN, Recipe, training_set
from models.weights import load_model


def test_there_is_a_recipe_for_every_class_on_every_grid() -> None:
    assert {(recipe.survey, recipe.spectral_class) for recipe in RECIPES} == {
        (survey, name) for survey in ("desi", "sdss") for name in ("GALAXY", "QSO", "STAR")
    }


@pytest.mark.real_data
def test_spectra_for_a_score_are_normalised_as_its_network_wants_them(
    real_data: Path, tmp_path: Path
) -> None:
    # At these redshifts the first window would do, too.
    card = replace(load_model("desi-galaxy").card, normalisation_min=4050.0, normalisation_max=4300.0)
    given = (real_data / "templates", real_data / "sky", tmp_path, 30, Console(quiet=True))
    splits, population = training_set(RECIPES[0], TO_SCORE, *given, card)
    assert (population.normalisation_min, population.normalisation_max) == (4050.0, 4300.0)
    assert len(splits.validation) + len(splits.calibration) >= 27


@pytest.mark.real_data
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_gives_normalised_spectra_of_its_class(
    recipe: Recipe, real_data: Path, tmp_path: Path
) -> None:
    splits, population = training_set(
        recipe, TO_TRAIN, real_data / "templates", real_data / "sky", tmp_path, 80, Console(quiet=True)
    )
    assert population.classes == (recipe.spectral_class,)
    assert population.grid == (DESI_GRID if recipe.survey == "desi" else SDSS_GRID)
    assert (population.redshift_min, population.redshift_max) == recipe.redshifts
    # A few are lost where the normalisation window has no light or lies in what a spectrograph lacks.
    assert len(splits.training) + len(splits.validation) + len(splits.calibration) >= 72
    learnt = splits.training.take(np.arange(len(splits.training)))
    every = learnt.redshift
    assert np.all((every >= recipe.redshifts[0] - 1e-3) & (every <= recipe.redshifts[1] + 1e-3))
    wavelength = population.grid.wavelength()
    for flux, ivar, redshift in zip(learnt.flux, learnt.ivar, every.tolist(), strict=True):
        rest = wavelength / (1 + redshift)
        window = (rest >= population.normalisation_min) & (rest <= population.normalisation_max) & (ivar > 0)
        assert np.median(flux[window]) == pytest.approx(1.0, rel=1e-3)
