"""Broad populations: wide where they should be, one spectrum for each seed and index, flaws within bounds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.simulation.anomalies import AnomalyKind, inside
from engine.simulation.broad_galaxies import deepen
from engine.simulation.broad_points import draw_star_shape
from engine.simulation.broad_spectrum import SIGNAL_TO_NOISE, SpectrumMaker, load_ingredients, spectrum_maker
from engine.simulation.broad_spectrum import simulate_broad as simulate
from engine.simulation.galaxies import SourceKind
from engine.simulation.point_templates import load_point_templates
from engine.simulation.release import MARKER_NAME, simulate_release
from engine.simulation.settings import ReleaseName, SimulationSettings, SurveyName
from engine.simulation.sky_fibres import in_share, load_sky_fibres
from engine.simulation.spectrum import RowKind, SimulatedSpectrum
from models.errors import InputError

GALAXIES = SimulationSettings(
    survey="sdss",
    spectra=100,
    outlier_fraction=0.0,
    seed=21,
    sky_fraction=0.0,
    broken_fraction=0.0,
    population="broad",
)


def made(settings: SimulationSettings, count: int) -> list[SimulatedSpectrum]:
    make: SpectrumMaker = spectrum_maker(settings)
    return [make(index) for index in range(count)]


@pytest.fixture(scope="module")
def galaxies() -> list[SimulatedSpectrum]:
    return made(GALAXIES, 120)


def pulls(spectrum: SimulatedSpectrum) -> np.ndarray:
    parts = [((arm.flux - arm.truth) * np.sqrt(arm.ivar))[arm.ivar > 0] for arm in spectrum.arms]
    return np.concatenate(parts)


@pytest.mark.parametrize(("survey", "release"), [("desi", "dr1"), ("sdss", "legacy"), ("sdss", "boss")])
def test_signal_to_noise_is_spread_evenly_in_its_logarithm(survey: SurveyName, release: ReleaseName) -> None:
    spectra = made(replace(GALAXIES, survey=survey, release=release), 80)
    low, high = SIGNAL_TO_NOISE[release]
    place = np.log([s.snr / low for s in spectra]) / np.log(high / low)
    # Flux calibration and masks move the median a little after brightness was set.
    assert -0.1 < place.min() < 0.15
    assert 0.85 < place.max() < 1.1
    assert np.mean(place < 0.5) == pytest.approx(0.5, abs=0.2)


def test_redshifts_reach_from_the_nearest_galaxies_to_the_models_end(
    galaxies: list[SimulatedSpectrum],
) -> None:
    redshift = np.array([s.source.redshift for s in galaxies])
    assert redshift.min() < 0.01
    assert redshift.max() > 0.55
    assert 0.15 < np.mean(redshift < 0.05) < 0.5


def test_noise_is_what_ivar_says_within_the_flaws_of_pipelines(galaxies: list[SimulatedSpectrum]) -> None:
    spread = np.array([np.median(np.abs(pulls(s))) / 0.6745 for s in galaxies])
    assert np.all((spread > 0.65) & (spread < 1.25))
    assert np.median(spread) == pytest.approx(0.88, abs=0.06)
    assert spread.std() > 0.04


def test_deeper_lines_leave_continuum_and_emission_as_they_are() -> None:
    wavelength = np.arange(4000.0, 6000.0, 1.0)
    smooth = (wavelength / 5000.0) ** -0.7
    absorbed = 1.0 - 0.3 * np.exp(-0.5 * ((wavelength - 4700.0) / 3.0) ** 2)
    emitted = 1.0 + 4.0 * np.exp(-0.5 * ((wavelength - 5300.0) / 3.0) ** 2)
    flux = smooth * absorbed * emitted
    deeper = flux.copy()
    deepen([deeper], 2.0)
    change = deeper / flux
    assert change[700] == pytest.approx(0.7, abs=0.02)
    assert np.all(change[1250:1350] <= 1.05)
    assert np.all(change[1250:1350] >= 0.99)
    apart = np.abs(wavelength - 4700.0) > 20.0
    np.testing.assert_allclose(change[apart], 1.0, atol=0.051)
    same = flux.copy()
    deepen([same], 1.0)
    np.testing.assert_array_equal(same, flux)


def test_flux_calibration_bends_within_a_few_percent(galaxies: list[SimulatedSpectrum]) -> None:
    bends = []
    for spectrum in galaxies:
        arm, data = spectrum.instrument.arms[0], spectrum.arms[0]
        middle = (arm.wavelength > 4500) & (arm.wavelength < 8500) & (spectrum.source.flux[0] > 0)
        bends.append(np.std((data.truth / np.maximum(spectrum.source.flux[0], 1e-9))[middle]))
    assert max(bends) < 0.12
    assert 0.004 < np.median(bends) < 0.04


def test_masked_pixels_have_no_ivar_and_everything_is_finite(galaxies: list[SimulatedSpectrum]) -> None:
    for spectrum in galaxies:
        for arm in spectrum.arms:
            np.testing.assert_array_equal(arm.masked, arm.ivar == 0)
            assert np.all(np.isfinite(arm.flux))
            assert np.all(np.isfinite(arm.ivar))
    masked = np.concatenate([arm.masked for s in galaxies for arm in s.arms])
    assert 0.0005 < masked.mean() < 0.02


@pytest.mark.parametrize("survey", ["desi", "sdss"])
def test_a_spectrum_depends_on_seed_and_index_alone(survey: SurveyName) -> None:
    settings = replace(GALAXIES, survey=survey, quasar_fraction=0.3, star_fraction=0.3)
    one = spectrum_maker(settings)
    other = spectrum_maker(replace(settings, spectra=7))
    for index in (9, 3):
        first, second = one(index), other(index)
        assert first.source.redshift == second.source.redshift
        for a, b in zip(first.arms, second.arms, strict=True):
            np.testing.assert_array_equal(a.flux, b.flux)
            np.testing.assert_array_equal(a.ivar, b.ivar)
    assert spectrum_maker(replace(settings, seed=22))(3).source.redshift != one(3).source.redshift


@pytest.mark.parametrize("survey", ["desi", "sdss"])
def test_anomalies_change_nothing_outside_their_regions(survey: SurveyName) -> None:
    settings = replace(GALAXIES, survey=survey, outlier_fraction=1.0)
    nothing = load_ingredients(settings)
    seen = set()
    for index in range(60):
        odd, twin = simulate(settings, index, nothing), simulate(settings, index, nothing, clean=True)
        assert odd.anomaly is not None
        assert twin.anomaly is None
        seen.add(odd.anomaly.kind)
        changed = False
        for arm, a, b in zip(odd.instrument.arms, odd.arms, twin.arms, strict=True):
            outside = ~inside(arm.wavelength, odd.anomaly.regions)
            np.testing.assert_array_equal(a.flux[outside], b.flux[outside])
            np.testing.assert_array_equal(a.ivar[outside], b.ivar[outside])
            changed |= bool(np.any(a.flux != b.flux))
        assert changed
    assert seen == {kind for kind in AnomalyKind if not kind.held_out}


@pytest.mark.parametrize("survey", ["desi", "sdss"])
def test_quasars_keep_to_their_redshifts_and_stars_to_stars_velocities(survey: SurveyName) -> None:
    settings = replace(GALAXIES, survey=survey, quasar_fraction=0.5, star_fraction=0.5)
    settings = replace(settings, quasar_redshifts=(0.4, 2.9))
    spectra = made(settings, 60)
    quasars = [s.source.redshift for s in spectra if s.source.kind is SourceKind.QUASAR]
    stars = np.array([s.source.redshift for s in spectra if s.source.kind is SourceKind.STAR])
    assert len(quasars) + len(stars) == 60
    assert 0.4 <= min(quasars) < 0.8
    assert 2.4 < max(quasars) <= 2.9
    # One in ten is faster than 500 km/s may be, up to 1,500.
    assert np.all(np.abs(stars) <= 1500 / 299_792.458)
    assert 0 < np.mean(np.abs(stars) > 500 / 299_792.458) < 0.3
    assert stars.std() > 1e-4


def test_distant_galaxies_keep_to_their_redshifts_and_are_faint() -> None:
    distant = made(replace(GALAXIES, survey="desi", galaxy_redshifts=(0.55, 1.7)), 60)
    redshift = np.array([s.source.redshift for s in distant])
    assert 0.55 <= redshift.min() < 0.7
    assert 1.5 < redshift.max() <= 1.7
    _, high = SIGNAL_TO_NOISE["dr1"]
    far = [s.snr for s in distant if s.source.redshift > 0.65]
    assert max(far) < 0.6 * high
    assert min(far) < 1.0


def test_a_third_of_a_population_that_holds_both_is_distant() -> None:
    redshift = np.array(
        [s.source.redshift for s in made(replace(GALAXIES, galaxy_redshifts=(0.002, 1.6)), 120)]
    )
    assert 0.2 < np.mean(redshift > 0.65) < 0.46
    assert redshift.max() <= 1.6
    # A range of near ones alone is kept to as well.
    for low, high in ((0.002, 0.05), (0.3, 0.6)):
        near = [s.source.redshift for s in made(replace(GALAXIES, galaxy_redshifts=(low, high)), 20)]
        assert low <= min(near) < max(near) <= high


@pytest.mark.real_data
def test_cataclysmic_variables_are_blue_with_broad_balmer_emission(real_data: Path) -> None:
    points = load_point_templates(real_data / "templates")
    arms = made(replace(GALAXIES, survey="desi"), 1)[0].instrument.arms
    found = 0
    for seed in range(200):
        shape = draw_star_shape(np.random.default_rng(seed), arms, points)
        wavelength = np.concatenate([arm.wavelength for arm in arms])
        flux = np.concatenate(shape.flux)

        def level(
            low: float, high: float, wavelength: np.ndarray = wavelength, flux: np.ndarray = flux
        ) -> float:
            return float(np.median(flux[(wavelength > low) & (wavelength < high)]))

        found += level(6560, 6570) > 1.15 * level(6450, 6500) and level(4858, 4868) > 1.1 * level(4760, 4800)
    # Three in a hundred are drawn so.
    assert 2 <= found <= 14


def test_sky_fibres_hold_no_source_and_stuck_ones_nothing() -> None:
    spectra = made(replace(GALAXIES, sky_fraction=0.5, broken_fraction=0.5), 30)
    sky = [s for s in spectra if s.row_kind is RowKind.SKY_FIBRE]
    stuck = [s for s in spectra if s.row_kind is RowKind.STUCK]
    assert sky
    assert stuck
    assert all(not np.any(s.arms[0].truth) and abs(s.snr) < 1.0 for s in sky)
    assert all(not np.any(s.arms[0].ivar) for s in stuck)


def test_a_release_says_of_what_population_it_is(tmp_path: Path) -> None:
    plain = replace(GALAXIES, population="plain", spectra=2)
    simulate_release(plain, tmp_path / "plain")
    simulate_release(replace(plain, quasar_redshifts=(1.0, 2.0)), tmp_path / "same")
    simulate_release(replace(GALAXIES, spectra=2), tmp_path / "broad")
    description = (tmp_path / "plain" / MARKER_NAME).read_text()
    assert "population" not in description
    assert (tmp_path / "same" / MARKER_NAME).read_text() == description
    assert '"population": "broad"' in (tmp_path / "broad" / MARKER_NAME).read_text()


def test_directories_without_sky_or_templates_of_points_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)Too few sky fibres.*remedy: Point --sky"):
        spectrum_maker(replace(GALAXIES, sky=tmp_path))
    with pytest.raises(InputError, match="No galaxy templates"):
        spectrum_maker(replace(GALAXIES, templates=tmp_path))


@pytest.mark.real_data
def test_templates_and_real_sky_make_spectra_of_every_class(real_data: Path) -> None:
    settings = replace(
        GALAXIES,
        survey="desi",
        quasar_fraction=0.4,
        star_fraction=0.3,
        templates=real_data / "templates",
        sky=real_data / "sky",
    )
    spectra = made(settings, 60)
    assert {s.source.kind for s in spectra} == {SourceKind.TEMPLATE, SourceKind.QUASAR, SourceKind.STAR}
    for spectrum in spectra:
        assert all(np.all(np.isfinite(arm.flux)) and np.all(arm.truth > 0) for arm in spectrum.arms)


@pytest.mark.real_data
def test_noise_of_the_first_spectrographs_is_that_of_their_real_sky(real_data: Path) -> None:
    settings = replace(GALAXIES, sky_fraction=1.0, sky=real_data / "sky")
    fibres = load_ingredients(settings).fibres
    assert fibres is not None
    grid, sigma = fibres.wavelength, []
    for spectrum in made(settings, 60):
        arm, ivar = spectrum.instrument.arms[0], spectrum.arms[0].ivar
        sigma.append(np.interp(grid, arm.wavelength[ivar > 0], ivar[ivar > 0] ** -0.5))
    real = np.sqrt(fibres.variance)
    for low, high in ((4000, 4500), (5500, 6000), (7500, 8000), (8600, 9100)):
        here = (grid > low) & (grid < high)
        ratio = np.median(np.stack(sigma)[:, here]) / np.median(real[:, here])
        assert ratio == pytest.approx(1.0, abs=0.15)


@pytest.mark.real_data
def test_what_sky_lines_leave_comes_from_fibres_of_the_share_that_is_asked_for(real_data: Path) -> None:
    assert {path.name for path in (real_data / "sky").glob("spec-*.fits")} == {
        path.name
        for path in (real_data / "sky").glob("spec-*.fits")
        if in_share(path.name, "training") != in_share(path.name, "proof")
    }
    own, other = (load_sky_fibres(real_data / "sky", share) for share in ("training", "proof"))
    bright = own.lines.mean(axis=0) > 0.8
    settings = replace(GALAXIES, sky_fraction=1.0, sky=real_data / "sky", sky_share="training")
    explained = []
    for spectrum in made(settings, 20):
        arm, data = spectrum.instrument.arms[0], spectrum.arms[0]
        pull = np.interp(own.wavelength, arm.wavelength, data.flux * np.sqrt(data.ivar))[bright]
        shares = []
        for fibres in (own, other):
            patterns = (fibres.broad + fibres.fine)[:, bright]
            fitted = patterns.T @ np.linalg.lstsq(patterns.T, pull, rcond=None)[0]
            shares.append(np.sum(fitted**2) / np.sum(pull**2))
        explained.append(shares)
    mine, theirs = np.median(explained, axis=0)
    assert mine > 0.6
    assert mine > theirs + 0.2
