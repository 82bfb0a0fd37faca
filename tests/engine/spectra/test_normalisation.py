"""Normalisation: every row gets a reason or a finite, masked, divided spectrum."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.spectra.normalisation import normalise
from engine.spectra.rows import Rows
from engine.spectra.scorer import Scorer
from engine.spectra.spectra import Spectra
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ConfigurationError
from models.model_card import ModelCard
from models.row_status import RowStatus
from models.scoring.scoring_model import ScoringModel


def make(count: int, seed: int = 0) -> Spectra:
    rng = np.random.default_rng(seed)
    rows = Rows.empty(count)
    rows.data["status"] = RowStatus.SCORED
    rows.data["redshift"] = rng.uniform(0.05, 0.4, count)
    rows.data["spectype"] = "GALAXY"
    ivar = np.where(rng.random((count, DESI_GRID.size)) > 0.1, 4.0, 0.0).astype(np.float32)
    flux = np.where(ivar > 0, rng.normal(3.0, 0.5, ivar.shape), 0).astype(np.float32)
    return Spectra(DESI_GRID, flux, ivar, rows)


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_divides_by_the_median_in_the_rest_frame_window(seed: int, scale: float) -> None:
    card = ModelCard(
        name="t",
        description="",
        kind="local",
        grid=DESI_GRID,
        classes=("GALAXY",),
        redshift_min=0.0,
        redshift_max=0.5,
        snr_min=0.0,
        snr_max=100.0,
        normalisation_min=5300.0,
        normalisation_max=5850.0,
        min_good_fraction=0.3,
        rest_start=3.4,
        rest_step=1e-4,
        rest_size=10,
        architecture={"latents": 1, "novelty": 0},
        training={},
        metrics={},
        calibration_quantiles=(),
    )
    spectra = make(2, seed)
    spectra = Spectra(DESI_GRID, spectra.flux * np.float32(scale), spectra.ivar, spectra.rows)
    result = normalise(spectra, card, ("GALAXY",))
    for row in range(2):
        rest = DESI_GRID.wavelength() / (1 + spectra.rows["redshift"][row])
        window = (spectra.ivar[row] > 0) & (rest >= 5300) & (rest <= 5850)
        expected = np.median(spectra.flux[row][window].astype(np.float64))
        assert result.normalisation[row] == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(result.flux[row], spectra.flux[row] / expected, rtol=1e-5)
        np.testing.assert_allclose(result.ivar[row], spectra.ivar[row] * expected**2, rtol=1e-5)


def test_every_reason(tiny_model: ScoringModel) -> None:
    spectra = make(8)
    rows, flux, ivar = spectra.rows.data, spectra.flux, spectra.ivar
    rest = DESI_GRID.wavelength()[None] / (1 + rows["redshift"])[:, None]
    window = (rest >= 5300) & (rest <= 5850)
    rows["spectype"][1] = "QSO"
    rows["redshift"][2] = np.nan
    rows["redshift"][3] = 3.0
    ivar[4] = 0
    ivar[5, window[5]] = 0
    flux[6, window[6]] = -1
    rows["status"][7] = RowStatus.SKY_FIBRE
    result = normalise(spectra, tiny_model.card, ("GALAXY",))
    assert [RowStatus(s) for s in result.rows["status"]] == [
        RowStatus.SCORED,
        RowStatus.CLASS_NOT_MODELLED,
        RowStatus.NO_REDSHIFT,
        RowStatus.REDSHIFT_OUT_OF_RANGE,
        RowStatus.NO_GOOD_PIXELS,
        RowStatus.TOO_FEW_GOOD_PIXELS,
        RowStatus.NON_POSITIVE_NORMALISATION,
        RowStatus.SKY_FIBRE,
    ]
    assert list(result.scorable) == [True] + [False] * 7
    assert np.isfinite(result.flux).all()
    assert np.isnan(result.normalisation[1:]).all()
    assert (result.flux[~result.good] == 0).all()
    assert spectra.rows["status"][1] == RowStatus.SCORED, "the input is not changed"


def test_an_inverse_variance_beyond_float32_takes_its_row_alone(tiny_model: ScoringModel) -> None:
    spectra = make(3)
    spectra.ivar[1, 4000] = 3e38
    spectra.ivar[2, 4000] = 3e37  # large, and still a number
    result = normalise(spectra, tiny_model.card, ())
    assert result.rows["status"].tolist() == [
        RowStatus.SCORED, RowStatus.NON_FINITE_SCORE, RowStatus.SCORED
    ]  # fmt: skip
    assert not result.ivar[1].any()
    scores = Scorer(tiny_model).score(result, np.flatnonzero(result.scorable))
    assert np.isfinite(scores.score[0])


def test_all_classes_when_none_are_named(tiny_model: ScoringModel) -> None:
    spectra = make(2)
    spectra.rows.data["spectype"][1] = "QSO"
    assert normalise(spectra, tiny_model.card, ()).scorable.all()


def test_grids_that_differ_are_refused(tiny_model: ScoringModel) -> None:
    card = dataclasses.replace(tiny_model.card, grid=SDSS_GRID)
    with pytest.raises(ConfigurationError, match=r"different wavelength grids(.|\n)*--model"):
        normalise(make(1), card, ())


def test_no_spectra(tiny_model: ScoringModel) -> None:
    assert len(normalise(make(0), tiny_model.card, ()).rows) == 0
