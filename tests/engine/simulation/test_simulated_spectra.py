"""Single spectra: noise as the ivar says, the same whatever surrounds them, anomalies where truth says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.simulation.anomalies import Anomaly, AnomalyKind, inside, parse_regions
from engine.simulation.galaxies import SourceKind
from engine.simulation.settings import SimulationSettings, SurveyName
from engine.simulation.spectrum import RowKind, SimulatedSpectrum, simulate_spectrum
from engine.simulation.templates import load_galaxy_templates
from models.errors import InputError
from models.sky_lines import SKY_LINES

GALAXIES = SimulationSettings(
    survey="desi", spectra=100, outlier_fraction=0.0, seed=11, sky_fraction=0.0, broken_fraction=0.0
)
OUTLIERS = replace(GALAXIES, outlier_fraction=1.0)


@pytest.fixture(scope="module")
def galaxies() -> list[SimulatedSpectrum]:
    return [simulate_spectrum(GALAXIES, index, None) for index in range(150)]


@pytest.fixture(scope="module", params=["desi", "sdss"])
def odd(request: pytest.FixtureRequest) -> list[tuple[SimulatedSpectrum, SimulatedSpectrum, Anomaly]]:
    """Spectra with an anomaly, their clean twins, and the anomaly."""
    survey: SurveyName = request.param
    settings = replace(OUTLIERS, survey=survey)
    pairs = []
    for index in range(90):
        spectrum = simulate_spectrum(settings, index, None)
        twin = simulate_spectrum(settings, index, None, clean=True)
        assert spectrum.anomaly is not None
        pairs.append((spectrum, twin, spectrum.anomaly))
    return pairs


def away_from_sky(wavelength: np.ndarray) -> np.ndarray:
    distance = np.abs(wavelength[:, None] - np.array([line for line, _ in SKY_LINES]))
    return np.asarray(distance.min(axis=1) > 8.0)


def test_noise_is_gaussian_with_the_ivar_that_is_written(galaxies: list[SimulatedSpectrum]) -> None:
    pulls = []
    for spectrum in galaxies:
        for arm, data in zip(spectrum.instrument.arms, spectrum.arms, strict=True):
            use = away_from_sky(arm.wavelength) & (data.ivar > 0)
            pulls.append(((data.flux - data.truth) * np.sqrt(data.ivar))[use])
    pull = np.concatenate(pulls)
    assert pull.size > 600_000
    assert abs(pull.mean()) < 4 / np.sqrt(pull.size)
    assert pull.std() == pytest.approx(1.0, abs=0.005)
    assert np.mean(np.abs(pull) < 1) == pytest.approx(0.6827, abs=0.003)
    assert np.mean(pull**4) == pytest.approx(3.0, abs=0.06)


def test_noise_of_neighbours_and_of_overlapping_arms_is_independent(
    galaxies: list[SimulatedSpectrum],
) -> None:
    blue, red, neighbours = [], [], []
    for spectrum in galaxies:
        pulls = [(a.flux - a.truth) * np.sqrt(a.ivar) for a in spectrum.arms]
        blue.append(pulls[0][-51:])
        red.append(pulls[1][:51])
        neighbours.append(pulls[1][500:1100:2] * pulls[1][501:1101:2])
    assert abs(np.corrcoef(np.concatenate(blue), np.concatenate(red))[0, 1]) < 0.05
    assert abs(np.concatenate(neighbours).mean()) < 0.03


def test_masked_pixels_have_no_ivar_and_others_have(galaxies: list[SimulatedSpectrum]) -> None:
    masked = np.concatenate([arm.masked for spectrum in galaxies for arm in spectrum.arms])
    ivar = np.concatenate([arm.ivar for spectrum in galaxies for arm in spectrum.arms])
    np.testing.assert_array_equal(masked, ivar == 0)
    assert np.all(np.isfinite(ivar))
    assert 0.0005 < masked.mean() < 0.01


def test_noise_rises_at_sky_lines_and_arm_ends(galaxies: list[SimulatedSpectrum]) -> None:
    arm, data = galaxies[0].instrument.arms[2], galaxies[0].arms[2]
    line = np.abs(arm.wavelength - 8829.5) < 1.0
    plain = np.abs(arm.wavelength - 9200.0) < 20.0
    assert np.median(data.ivar[plain]) > 4 * np.median(data.ivar[line])
    blue = galaxies[0].arms[0].ivar
    assert np.median(blue[:40]) < 0.1 * np.median(blue[1800:2200])
    assert np.median(blue[-15:]) < 0.5 * np.median(blue[2300:2500])


def test_population_spans_redshift_and_signal_to_noise(galaxies: list[SimulatedSpectrum]) -> None:
    redshift = np.array([spectrum.source.redshift for spectrum in galaxies])
    snr = np.array([spectrum.snr for spectrum in galaxies])
    kinds = {spectrum.source.kind for spectrum in galaxies}
    assert redshift.min() >= 0.01
    assert redshift.max() <= 0.6
    assert 0.15 < np.median(redshift) < 0.32
    assert np.percentile(snr, 2) < 2.5
    assert np.percentile(snr, 98) > 12
    assert kinds == {SourceKind.STAR_FORMING, SourceKind.PASSIVE, SourceKind.SEYFERT}
    for spectrum in galaxies:
        assert all(np.all(arm.truth > 0) for arm in spectrum.arms)


def test_passive_galaxies_have_a_larger_4000_break_than_star_forming_ones(
    galaxies: list[SimulatedSpectrum],
) -> None:
    breaks: dict[SourceKind, list[float]] = {}
    for spectrum in galaxies:
        arm, data = spectrum.instrument.arms[0], spectrum.arms[0]
        rest = arm.wavelength / (1 + spectrum.source.redshift)
        if rest[0] < 3840 and rest[-1] > 4110:
            red = data.truth[(rest > 4000) & (rest < 4100)].mean()
            blue = data.truth[(rest > 3850) & (rest < 3950)].mean()
            breaks.setdefault(spectrum.source.kind, []).append(red / blue)
    # Dn4000 of Balogh et al. 1999, here in flux per Angstrom.
    assert np.median(breaks[SourceKind.PASSIVE]) > 1.45
    assert np.median(breaks[SourceKind.STAR_FORMING]) < 1.35


@pytest.mark.parametrize("survey", ["desi", "sdss"])
def test_a_spectrum_depends_on_seed_and_index_alone(survey: SurveyName) -> None:
    here = replace(OUTLIERS, survey=survey, spectra=10, spectra_per_file=3)
    there = replace(here, spectra=5000, spectra_per_file=250)
    for index in (0, 3, 9):
        one, other = simulate_spectrum(here, index, None), simulate_spectrum(there, index, None)
        for a, b in zip(one.arms, other.arms, strict=True):
            np.testing.assert_array_equal(a.flux, b.flux)
            np.testing.assert_array_equal(a.ivar, b.ivar)
        assert one.anomaly == other.anomaly
    reseeded = simulate_spectrum(replace(here, seed=12), 0, None)
    assert reseeded.source.redshift != simulate_spectrum(here, 0, None).source.redshift


def test_every_kind_of_anomaly_appears(
    odd: list[tuple[SimulatedSpectrum, SimulatedSpectrum, Anomaly]],
) -> None:
    assert {anomaly.kind for _, _, anomaly in odd} == {kind for kind in AnomalyKind if not kind.held_out}


def test_anomalies_change_nothing_outside_their_regions(
    odd: list[tuple[SimulatedSpectrum, SimulatedSpectrum, Anomaly]],
) -> None:
    for spectrum, twin, anomaly in odd:
        assert twin.anomaly is None
        changed = 0
        for arm, data, clean in zip(spectrum.instrument.arms, spectrum.arms, twin.arms, strict=True):
            outside = ~inside(arm.wavelength, anomaly.regions)
            np.testing.assert_array_equal(data.flux[outside], clean.flux[outside], err_msg=anomaly.kind)
            np.testing.assert_array_equal(data.ivar[outside], clean.ivar[outside], err_msg=anomaly.kind)
            np.testing.assert_array_equal(data.masked, clean.masked)
            changed += int(np.count_nonzero(data.flux != clean.flux))
        assert changed >= 3, anomaly.kind


def test_the_strength_is_the_significance_of_what_changed(
    odd: list[tuple[SimulatedSpectrum, SimulatedSpectrum, Anomaly]],
) -> None:
    for spectrum, twin, anomaly in odd:
        pull = [
            (data.truth - clean.truth) ** 2 * clean.ivar.astype(float)
            for data, clean in zip(spectrum.arms, twin.arms, strict=True)
        ]
        # The strength is against the noise of the clean twin, whose ivar is stored as float32.
        assert np.sqrt(np.concatenate(pull).sum()) == pytest.approx(anomaly.strength, rel=1e-3)
        assert anomaly.strength > 20.0


def test_the_centre_lies_in_or_at_a_region(
    odd: list[tuple[SimulatedSpectrum, SimulatedSpectrum, Anomaly]],
) -> None:
    for spectrum, _, anomaly in odd:
        widened = tuple((low - 1.5, high + 1.5) for low, high in anomaly.regions)
        first, last = spectrum.instrument.arms[0].wavelength[0], spectrum.instrument.arms[-1].wavelength[-1]
        assert inside(np.array([anomaly.centre]), widened)[0], anomaly
        assert anomaly.wavelength_min >= first - 0.01
        assert anomaly.wavelength_max <= last + 0.01


def test_dead_regions_hold_noise_about_zero_with_ivar_unchanged(
    odd: list[tuple[SimulatedSpectrum, SimulatedSpectrum, Anomaly]],
) -> None:
    pulls = []
    for spectrum, twin, anomaly in odd:
        if anomaly.kind is AnomalyKind.DEAD_REGION:
            for arm, data, clean in zip(spectrum.instrument.arms, spectrum.arms, twin.arms, strict=True):
                np.testing.assert_array_equal(data.ivar, clean.ivar)
                use = (
                    inside(arm.wavelength, anomaly.regions) & away_from_sky(arm.wavelength) & (data.ivar > 0)
                )
                pulls.append((data.flux * np.sqrt(data.ivar))[use])
    pull = np.concatenate(pulls)
    assert abs(pull.mean()) < 0.2
    assert pull.std() == pytest.approx(1.0, abs=0.1)


def test_double_peaked_lines_have_two_peaks_apart_by_300_to_600_km_per_s() -> None:
    found = 0
    for index in range(60):
        spectrum = simulate_spectrum(OUTLIERS, index, None)
        anomaly = spectrum.anomaly
        assert anomaly is not None
        if anomaly.kind is not AnomalyKind.DOUBLE_PEAKED_LINES:
            continue
        observed = 5008.24 * (1 + spectrum.source.redshift)
        for arm, data in zip(spectrum.instrument.arms, spectrum.arms, strict=True):
            near = np.abs(arm.wavelength / observed - 1) < 500 / 299792.458
            if near.sum() < 20:
                continue
            values, wavelength = data.truth[near], arm.wavelength[near]
            peaks = [i for i in range(1, len(values) - 1) if values[i - 1] < values[i] >= values[i + 1]]
            peaks = [i for i in peaks if values[i] > np.median(values) + 0.3 * np.ptp(values)]
            if len(peaks) == 2:
                split = (wavelength[peaks[1]] - wavelength[peaks[0]]) / observed * 299792.458
                assert 230 < split < 670
                found += 1
    assert found >= 3


def test_regions_survive_their_text() -> None:
    anomaly = Anomaly(AnomalyKind.COSMIC_RAYS, ((5000.1, 5020.3), (6500.0, 6530.0)), 5010.0, 30.0, 1.0)
    assert anomaly.regions_text() == "5000.10:5020.30;6500.00:6530.00"
    assert parse_regions(anomaly.regions_text()) == anomaly.regions
    assert parse_regions("") == ()


def test_sky_fibres_and_stuck_positioners_hold_no_source() -> None:
    settings = replace(GALAXIES, sky_fraction=0.5, broken_fraction=0.5)
    spectra = [simulate_spectrum(settings, index, None) for index in range(40)]
    kinds = {spectrum.row_kind for spectrum in spectra}
    assert kinds == {RowKind.SKY_FIBRE, RowKind.STUCK, RowKind.BAD_FIBRE}
    for spectrum in spectra:
        if spectrum.row_kind is RowKind.STUCK:
            assert all(not np.any(arm.ivar) and not np.any(arm.flux) for arm in spectrum.arms)
        if spectrum.row_kind is RowKind.SKY_FIBRE:
            assert all(not np.any(arm.truth) and np.any(arm.ivar) for arm in spectrum.arms)


@pytest.mark.parametrize("survey", ["desi", "sdss"])
def test_quasars_and_stars_come_in_their_shares(survey: SurveyName) -> None:
    settings = replace(GALAXIES, survey=survey, quasar_fraction=0.5, star_fraction=0.5)
    spectra = [simulate_spectrum(settings, index, None) for index in range(30)]
    assert {spectrum.source.kind for spectrum in spectra} == {SourceKind.QUASAR, SourceKind.STAR}
    for spectrum in spectra:
        assert all(np.all(np.isfinite(arm.flux)) for arm in spectrum.arms)
        assert (abs(spectrum.source.redshift) < 1e-3) == (spectrum.source.kind is SourceKind.STAR)


def test_template_galaxies_are_mixtures_of_published_rows(real_data: Path) -> None:
    templates = load_galaxy_templates(real_data / "templates")
    assert 600 < len(templates.coefficients) <= 750
    drawn = templates.draw(np.random.default_rng(4))
    # On the line between two rows, so as close to the set as neighbours are to each other.
    distance = np.sqrt(((templates.coefficients - drawn) ** 2).sum(axis=1)).min()
    spread = np.sqrt(((templates.coefficients - templates.coefficients.mean(axis=0)) ** 2).sum(axis=1)).mean()
    assert distance < 0.2 * spread
    settings = replace(GALAXIES, templates=real_data / "templates")
    spectrum = simulate_spectrum(settings, 0, templates)
    assert spectrum.source.kind is SourceKind.TEMPLATE
    composed = simulate_spectrum(replace(settings, template_fraction=0.0), 0, templates)
    assert composed.source.kind is not SourceKind.TEMPLATE


def test_a_directory_without_templates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No galaxy templates"):
        load_galaxy_templates(tmp_path)
