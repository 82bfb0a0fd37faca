"""Injection: the strength that was asked for, nothing where nothing may be, the same from the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.evaluation.held_out_spectra import HeldOutSettings, held_out_spectra
from engine.evaluation.injected_spectra import CleanSpectra, InjectedSpectra, prepare_clean_spectra
from engine.simulation.anomalies import AnomalyKind
from engine.simulation.broad_spectrum import spectrum_maker
from engine.simulation.settings import SimulationSettings
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ConfigurationError
from models.grid import WavelengthGrid
from models.model_card import ModelCard
from tests.conftest import random_model

STRENGTHS = (3.0, 20.0)


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return random_model().card


def strengths(injected: InjectedSpectra) -> np.ndarray:
    return np.sqrt((injected.change.astype(np.float64) ** 2 * injected.ivar).sum(axis=1))


@pytest.mark.parametrize("kind", AnomalyKind)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_every_kind_reaches_its_strength(clean: CleanSpectra, kind: AnomalyKind, strength: float) -> None:
    injected = clean.inject(kind, strength)
    assert len(injected) >= len(clean) // 2
    assert strengths(injected) == pytest.approx(np.full(len(injected), strength), rel=1e-5)


@pytest.mark.parametrize("kind", AnomalyKind)
def test_masked_pixels_stay_masked_and_the_rest_changes_by_the_change(
    clean: CleanSpectra, kind: AnomalyKind
) -> None:
    injected = clean.inject(kind, 20.0)
    masked = clean.spectra.ivar[injected.row] == 0
    assert masked.any()
    for values in (injected.flux, injected.ivar, injected.change, injected.injected):
        assert not values[masked].any()
    # Noise and inverse variance are those of the clean spectrum, in another normalisation.
    for row, (flux, ivar) in enumerate(zip(injected.flux - injected.change, injected.ivar, strict=True)):
        one = clean.spectra.take(injected.row[row : row + 1])
        good = ~masked[row]
        ratio = ivar[good] / one.ivar[0, good]
        assert np.ptp(ratio) < 1e-5 * ratio[0]
        expected = one.flux[0, good] / np.sqrt(ratio)
        assert flux[good] == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("kind", AnomalyKind)
def test_the_injected_pixels_are_the_fewest_that_hold_the_strength(
    clean: CleanSpectra, kind: AnomalyKind
) -> None:
    injected = clean.inject(kind, 10.0)
    square = injected.change.astype(np.float64) ** 2 * injected.ivar
    share = np.where(injected.injected, square, 0).sum(axis=1) / square.sum(axis=1)
    assert share.min() >= 0.99 - 1e-9
    least = np.where(injected.injected, square, np.inf).min(axis=1)
    assert np.all(share - least / square.sum(axis=1) < 0.99)
    assert np.all(np.where(injected.injected, 0, square).max(axis=1) <= least)


def test_the_width_is_that_of_the_injected_stretch(clean: CleanSpectra) -> None:
    spikes = clean.inject(AnomalyKind.COSMIC_RAYS, 10.0)
    # One to three pixels; two spikes may stand side by side.
    assert np.median(spikes.peak_width_angstrom) <= 3 * 0.8 + 1e-9
    arms = clean.inject(AnomalyKind.ARM_STEP, 10.0)
    assert np.median(arms.peak_width_angstrom) > 1000


def test_what_cannot_be_as_strong_is_left_out_and_known(clean: CleanSpectra) -> None:
    reached = [len(clean.carriers(AnomalyKind.DEAD_REGION, strength)) for strength in (3, 40, 1000)]
    assert reached == sorted(reached, reverse=True)
    assert reached[0] > 0 == reached[2]
    nothing = clean.inject(AnomalyKind.DEAD_REGION, 1000.0)
    assert len(nothing) == 0
    assert nothing.flux.shape == (0, clean.card.grid.size)


def test_lost_light_is_never_more_than_there_was(clean: CleanSpectra) -> None:
    for row, shape in enumerate(clean.shapes[AnomalyKind.DEAD_REGION]):
        assert shape is not None
        injected = clean.inject(AnomalyKind.DEAD_REGION, 0.999 * shape.largest, np.array([row]))
        if len(injected):  # nearly all the light of a stretch is gone: what is left there is noise
            inside = injected.flux[injected.injected] * np.sqrt(injected.ivar[injected.injected])
            assert abs(inside.mean()) < 6 / np.sqrt(inside.size)


def test_rows_choose_spectra(clean: CleanSpectra) -> None:
    whole = clean.inject(AnomalyKind.ARM_STEP, 10.0)
    some = clean.inject(AnomalyKind.ARM_STEP, 10.0, np.array([1, 4]))
    assert some.row.tolist() == [1, 4]
    taken = whole.take(np.isin(whole.row, some.row))
    assert np.array_equal(some.flux, taken.flux)
    assert np.array_equal(some.injected, taken.injected)


def test_the_same_seed_gives_the_same_whatever_else_is_made(clean: CleanSpectra, card: ModelCard) -> None:
    kind = AnomalyKind.BROAD_ABSORPTION
    fewer = prepare_clean_spectra(card, HeldOutSettings(spectra=4, seed=5), (kind,))
    first, again = clean.inject(kind, 10.0), fewer.inject(kind, 10.0)
    assert np.array_equal(first.take(slice(4)).flux, again.flux)
    other = prepare_clean_spectra(card, HeldOutSettings(spectra=4, seed=6), (kind,)).inject(kind, 10.0)
    assert not np.array_equal(again.flux, other.flux)


def test_no_release_of_any_seed_number_holds_these_spectra(card: ModelCard) -> None:
    (held_out,) = held_out_spectra(card, HeldOutSettings(spectra=1, seed=5))
    release = SimulationSettings("desi", 1, 0.0, 5, sky_fraction=0, broken_fraction=0, population="broad")
    assert held_out.simulated.source.redshift != spectrum_maker(release)(held_out.index).source.redshift


def test_both_sdss_spectrographs_are_in_an_sdss_evaluation(card: ModelCard) -> None:
    sdss = replace(card, grid=SDSS_GRID)
    names = [each.simulated.instrument.name for each in held_out_spectra(sdss, HeldOutSettings(4, 1))]
    assert set(names) == {"legacy", "boss"}
    injected = prepare_clean_spectra(sdss, HeldOutSettings(4, 1)).inject(AnomalyKind.COSMIC_RAYS, 10.0)
    assert strengths(injected) == pytest.approx(np.full(len(injected), 10.0), rel=1e-5)


def test_a_quasar_model_is_evaluated_on_quasars(card: ModelCard) -> None:
    quasars = replace(
        card, classes=("QSO",), redshift_max=4.0, normalisation_min=1320, normalisation_max=6000
    )
    clean = prepare_clean_spectra(quasars, HeldOutSettings(8, 1))
    assert set(clean.spectra.rows["spectype"]) == {"QSO"}
    # Lines that lie beyond the grid cannot be injected there.
    far = clean.spectra.rows["redshift"] > 1.3
    assert far.any()
    assert not set(clean.carriers(AnomalyKind.BROAD_SHIFTED_LINES, 5.0)) & set(np.flatnonzero(far))
    assert len(clean.carriers(AnomalyKind.ARM_STEP, 5.0)) == 8


def test_what_has_no_simulation_is_refused(card: ModelCard) -> None:
    for impossible in (
        replace(card, classes=("NEBULA",)),
        replace(card, grid=WavelengthGrid("other", "linear", 4000.0, 1.0, 3000)),
        replace(card, redshift_min=5.0, redshift_max=6.0),
    ):
        with pytest.raises(ConfigurationError) as caught:
            list(held_out_spectra(impossible, HeldOutSettings(2, 1)))
        assert caught.value.kind == "evaluation-population"
