"""Rivals: they find what such methods are known to find, and clean spectra of any depth look alike."""

from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation.held_out_spectra import HeldOutSettings, held_out_spectra
from engine.evaluation.injected_spectra import CleanSpectra, prepare_clean_spectra
from engine.evaluation.rates import area_under_curve
from engine.evaluation.rest_frame_modes import RestFrame, RestFrameModes
from engine.evaluation.rivals import FOREST, LOCAL_OUTLIER, PCA_SCAN, RIVALS, Rivals, train_rivals
from engine.evaluation.strata import Strata
from engine.evaluation.training_spectra import TrainingSpectra, training_spectra
from engine.simulation.anomalies import AnomalyKind
from tests.conftest import random_model

JUDGED = HeldOutSettings(spectra=40, seed=3)


@pytest.fixture(scope="module")
def learnt() -> TrainingSpectra:
    return training_spectra(random_model().card, JUDGED, 240)


@pytest.fixture(scope="module")
def rivals(learnt: TrainingSpectra) -> Rivals:
    return train_rivals(learnt)


@pytest.fixture(scope="module")
def crowd() -> CleanSpectra:
    return prepare_clean_spectra(random_model().card, JUDGED, (AnomalyKind.COSMIC_RAYS,))


def test_nothing_that_is_judged_trains_a_rival(learnt: TrainingSpectra) -> None:
    judged = {float(each.spectrum.rows["redshift"][0]) for each in held_out_spectra(learnt.card, JUDGED)}
    assert judged.isdisjoint(learnt.redshift.tolist())


def test_training_spectra_are_light_times_calibration_plus_noise(learnt: TrainingSpectra) -> None:
    good = learnt.ivar > 0
    drawn = learnt.light * learnt.calibration
    # Each is normalised by its own median: what is left is one factor for each spectrum.
    factor = (learnt.flux * drawn * learnt.ivar).sum(1) / (drawn**2 * learnt.ivar).sum(1)
    pulls = (learnt.flux - factor[:, None] * drawn) * np.sqrt(learnt.ivar)
    deep = np.median(np.abs(pulls[good])) / 0.67449
    assert deep == pytest.approx(learnt.noise, abs=0.05)
    assert 0.7 < learnt.noise < 1.1
    assert 0.01 < np.std(learnt.calibration[good]) < 0.2


def test_the_scan_finds_spikes_and_the_others_do_not(rivals: Rivals, crowd: CleanSpectra) -> None:
    injected = crowd.inject(AnomalyKind.COSMIC_RAYS, 40.0)
    odd = rivals.values(injected.flux, injected.ivar, injected.redshift)
    clean = rivals.values(injected.clean_flux, injected.clean_ivar, injected.redshift)
    areas = {name: area_under_curve(odd[:, at], clean[:, at]) for at, name in enumerate(RIVALS)}
    assert areas[PCA_SCAN] > 0.8
    assert areas[FOREST] < 0.7
    assert areas[LOCAL_OUTLIER] < 0.7


def test_a_spectrum_of_noise_alone_is_odd_to_forest_and_neighbours(
    rivals: Rivals, crowd: CleanSpectra
) -> None:
    ivar, redshift = crowd.normalised.ivar, crowd.normalised.rows["redshift"].copy()
    usual = rivals.values(crowd.normalised.flux, ivar, redshift)
    noise = np.where(ivar > 0, np.random.default_rng(0).normal(1, 1, ivar.shape), 0).astype(np.float32)
    odd = rivals.values(noise, ivar, redshift)
    for column in (RIVALS.index(FOREST), RIVALS.index(LOCAL_OUTLIER)):
        assert area_under_curve(odd[:, column], usual[:, column]) > 0.8


def test_the_same_seed_trains_the_same_rivals(learnt: TrainingSpectra, rivals: Rivals) -> None:
    again = train_rivals(learnt)
    flux, ivar, redshift = learnt.flux[:5], learnt.ivar[:5], learnt.redshift[:5]
    assert (again.values(flux, ivar, redshift) == rivals.values(flux, ivar, redshift)).all()
    assert rivals.values(flux[:0], ivar[:0], redshift[:0]).shape == (0, len(RIVALS))


def test_modes_of_few_shapes_are_found_in_the_noise() -> None:
    card = random_model().card
    random, frame = np.random.default_rng(1), RestFrame(card)
    rest = np.linspace(0, 40, card.rest_size)
    shapes = np.stack([np.ones_like(rest), np.sin(rest), np.cos(3 * rest)], axis=1)
    redshift = random.uniform(0.0, 0.5, 90)
    truth = np.stack(
        [frame.observed(shapes, z) @ (1, *random.normal(size=2)) for z in redshift.tolist()]
    ).astype(np.float32)
    ivar = np.full(truth.shape, 4.0, np.float32)
    ivar[:, ::50] = 0
    noisy = np.where(ivar > 0, truth + random.normal(0, 0.5, truth.shape), 1e9).astype(np.float32)
    modes = RestFrameModes.fit(frame, np.where(ivar > 0, noisy, 0), ivar, redshift, 3, 0)
    assert modes.modes.T @ modes.modes == pytest.approx(np.eye(3), abs=1e-4)
    for row in range(5):
        _, drawn = modes.fitted(np.where(ivar[row] > 0, noisy[row], 0), ivar[row], float(redshift[row]))
        assert np.std(drawn - truth[row]) < 0.12


def test_strata_remove_what_depth_and_redshift_do() -> None:
    random = np.random.default_rng(2)
    snr, redshift = np.exp(random.uniform(0, 3, 6000)), random.uniform(0, 1, 6000)
    values = (np.log(snr) + redshift + snr * np.abs(random.normal(size=6000)))[:, None]
    strata = Strata.of(values[:5000], snr[:5000], redshift[:5000])
    standard = strata.standard(values[5000:], snr[5000:], redshift[5000:])[:, 0]
    for part in (snr[5000:] < 3, snr[5000:] > 10, redshift[5000:] < 0.3, redshift[5000:] > 0.7):
        assert np.median(standard[part]) == pytest.approx(0, abs=0.3)
        assert np.quantile(standard[part], 0.84) == pytest.approx(1, abs=0.3)
