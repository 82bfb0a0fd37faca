"""Light gathered into pixels: flux, width and wavelength against independent references."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.simulation.arms import SPEED_OF_LIGHT, Arm
from engine.simulation.emission import emission_lines, star_forming_gas
from engine.simulation.instrument import DESI_ARMS, instrument
from engine.simulation.rest_frame import RestFrameBasis
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID

ARMS = [*DESI_ARMS, instrument("legacy").arms[0], instrument("boss", 3).arms[0]]


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.grid.name)
def test_pixels_lie_on_the_common_grid(arm: Arm) -> None:
    common = DESI_GRID if arm.grid.spacing == "linear" else SDSS_GRID
    position = common.pixel(arm.wavelength)
    np.testing.assert_allclose(position, np.round(position), atol=1e-6)


def test_desi_arms_overlap_as_published() -> None:
    sizes = [arm.grid.size for arm in DESI_ARMS]
    ends = [(arm.wavelength[0], arm.wavelength[-1]) for arm in DESI_ARMS]
    assert sizes == [2751, 2326, 2881]
    np.testing.assert_allclose(ends, [(3600, 5800), (5760, 7620), (7520, 9824)], atol=1e-9)
    assert (
        np.intersect1d(np.round(DESI_ARMS[0].wavelength, 3), np.round(DESI_ARMS[1].wavelength, 3)).size == 51
    )
    assert (
        np.intersect1d(np.round(DESI_ARMS[1].wavelength, 3), np.round(DESI_ARMS[2].wavelength, 3)).size == 126
    )


@given(
    which=st.integers(0, len(ARMS) - 1),
    place=st.floats(0.1, 0.9),
    phase=st.floats(-0.5, 0.5),
    width=st.floats(0.8, 5.0),
)
def test_a_line_keeps_its_area_and_centre_wherever_it_falls(
    which: int, place: float, phase: float, width: float
) -> None:
    arm = ARMS[which]
    pixel = round(place * arm.grid.size) + phase
    wavelength = float(arm.edges(np.array([pixel]))[0])
    flux = np.zeros(arm.grid.size)
    arm.add_line(flux, wavelength, 7.0, width * arm.angstrom_per_pixel(wavelength))
    assert np.sum(flux * arm.pixel_width) == pytest.approx(7.0, rel=1e-6)
    mean = np.sum(flux * arm.pixel_width * arm.wavelength) / 7.0
    assert mean == pytest.approx(wavelength, abs=0.02 * arm.angstrom_per_pixel(wavelength))


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.grid.name)
def test_narrow_rest_frame_line_is_seen_with_the_width_of_instrument_and_galaxy(arm: Arm) -> None:
    redshift, dispersion = 0.2, 60.0
    observed = float(arm.wavelength[arm.grid.size // 2])
    rest, step = observed / (1 + redshift), 0.05
    centres = np.arange(rest - 600, rest + 600, step)
    # A spike one sample wide: what aliasing would lose or double.
    spike = int(np.abs(centres - rest).argmin())
    samples = np.zeros((1, centres.size))
    samples[0, spike] = 1.0 / step
    basis = RestFrameBasis.from_samples(float(centres[0]), step, samples)
    seen = basis.observed(np.ones(1), redshift, (arm,), dispersion)[0]
    area = np.sum(seen * arm.pixel_width)
    assert area == pytest.approx(1 + redshift, rel=1e-3)
    position = np.arange(arm.grid.size) - arm.grid.pixel(float(centres[spike]) * (1 + redshift))
    variance = np.sum(seen * position**2) / np.sum(seen)
    per_pixel = arm.angstrom_per_pixel(observed)
    expected = arm.lsf_sigma**2 + (observed * dispersion / SPEED_OF_LIGHT / per_pixel) ** 2
    # The pixel itself and the subpixels that sample it add their own widths.
    assert variance == pytest.approx(expected + 1 / 12, abs=0.03)


def test_smooth_continuum_is_redshifted_exactly() -> None:
    arm = DESI_ARMS[1]
    centres = np.arange(3000.0, 9000.0, 0.5)
    basis = RestFrameBasis.from_samples(3000.0, 0.5, (1.0 + 1e-4 * centres)[None, :])
    seen = basis.observed(np.ones(1), 0.3, (arm,), 50.0)[0]
    np.testing.assert_allclose(seen, 1.0 + 1e-4 * arm.wavelength / 1.3, rtol=2e-6)


def test_beyond_the_last_sample_the_level_goes_on() -> None:
    arm = DESI_ARMS[2]
    basis = RestFrameBasis.from_samples(3000.0, 0.5, np.full((1, 10_000), 3.0))
    seen = basis.observed(np.ones(1), 0.0, (arm,), 50.0)[0]
    np.testing.assert_allclose(seen, 3.0, rtol=1e-9)


@given(seed=st.integers(0, 10_000), abundance=st.floats(0, 1), depth=st.floats(0, 3))
def test_doublets_and_balmer_lines_keep_atomic_ratios(seed: int, abundance: float, depth: float) -> None:
    gas = star_forming_gas(np.random.default_rng(seed), abundance, depth)
    area = {line.name: line.area for line in emission_lines(gas, 10.0) if line.name != "[O II]"}
    # 48 Angstrom apart, the doublet sees nearly the same dust.
    assert area["[O III] 5008"] / area["[O III] 4960"] == pytest.approx(2.98, rel=0.03)
    assert area["[N II] 6585"] / area["[N II] 6550"] == pytest.approx(3.05, rel=0.03)
    assert area["Hα"] == pytest.approx(10.0)
    assert area["Hα"] / area["Hβ"] >= 2.86 * 0.999
    assert 60.0 <= gas.dispersion <= 250.0
