"""A better redshift: found for galaxies with a wrong one, and not for odd galaxies with the right one."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch

from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.injected_spectra import CleanSpectra, prepare_clean_spectra
from engine.simulation.anomalies import AnomalyKind
from engine.spectra.normalisation import NormalisedSpectra, normalise
from engine.spectra.rows import Rows
from engine.spectra.spectra import Spectra
from models.causes.estimate import BetterRedshift
from models.scoring.better_redshift import misfit
from models.scoring.scoring_model import ScoringModel
from models.weights import load_local_model

KINDS = (AnomalyKind.BROAD_SHIFTED_LINES, AnomalyKind.COSMIC_RAYS, AnomalyKind.DEAD_REGION)
COUNT = 24


@cache
def model() -> ScoringModel:
    return load_local_model("desi-galaxy")


@cache
def clean() -> CleanSpectra:
    return prepare_clean_spectra(model().card, HeldOutSettings(COUNT, 29), KINDS)


def found(normalised: NormalisedSpectra, row: int) -> tuple[float, BetterRedshift | None]:
    """Tail probability of a row, and what is found of it."""
    flux, ivar = torch.from_numpy(normalised.flux[row]), torch.from_numpy(normalised.ivar[row])
    redshift = np.array([normalised.rows["redshift"][row]])
    with torch.no_grad():
        score = model().outputs(flux[None], ivar[None], torch.from_numpy(redshift)).score.numpy()
    tail = model().tail_probability(score, normalised.rows["snr"][row : row + 1], redshift)
    return float(tail[0]), model().better_redshift(flux, ivar, float(redshift[0]))


@pytest.mark.parametrize("offset", [0.003, 0.05])
def test_the_right_redshift_is_found_where_a_wrong_one_makes_galaxies_odd(offset: float) -> None:
    spectra = clean().spectra
    true = spectra.rows["redshift"].copy()
    rows = Rows(spectra.rows.data.copy())
    rows.data["redshift"] = np.where(true + offset < model().card.redshift_max, true + offset, true - offset)
    normalised = normalise(Spectra(spectra.grid, spectra.flux, spectra.ivar, rows), model().card, ())
    odd, right, named = 0, 0, 0
    for row in np.flatnonzero(normalised.scorable).tolist():
        tail, better = found(normalised, row)
        if tail > 0.01:
            continue
        odd += 1
        assert better is not None
        right += abs(better.redshift - true[row]) < 0.001 * (1 + true[row])
        named += better.probability > 0.5
    assert odd >= 5
    assert right >= 0.9 * odd
    assert named >= 0.6 * odd


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_odd_at_its_own_redshift_is_seldom_blamed_on_it(kind: AnomalyKind) -> None:
    injected = clean().inject(kind, 30.0)
    blamed = 0
    for row in range(len(injected)):
        better = model().better_redshift(
            torch.from_numpy(injected.flux[row]),
            torch.from_numpy(injected.ivar[row]),
            float(injected.redshift[row]),
        )
        blamed += better is not None and better.probability > 0.5
    assert blamed <= 0.1 * len(injected)


def test_a_spectrum_without_a_good_pixel_has_no_better_redshift() -> None:
    nothing = torch.zeros(model().card.grid.size)
    assert model().better_redshift(nothing, nothing, 0.2) is None


def test_only_redshifts_at_which_the_spectrum_is_drawn_well_enough_count() -> None:
    spectra = clean().inject(AnomalyKind.DEAD_REGION, 10.0)
    flux, ivar = (torch.from_numpy(each) for each in (spectra.flux, spectra.ivar))
    every = [model().usual_redshift(*each, math.inf) for each in zip(flux, ivar, strict=True)]
    own = [
        row
        for row, found in enumerate(every)
        if found is not None and abs(found.redshift - spectra.redshift[row]) < 0.001
    ]
    flux, ivar, found = flux[own[0]], ivar[own[0]], every[own[0]]
    assert found is not None
    where = torch.tensor([found.redshift], dtype=torch.float64)
    drawn = model().reconstructed(flux[None], ivar[None], where)
    least = float(misfit(flux[None], ivar[None], drawn))
    # It is shown in units of its median there, which its own redshift's differs from a little.
    assert model().usual_redshift(flux, ivar, 1.01 * least) is not None
    assert model().usual_redshift(flux, ivar, 0.5 * least) is None
