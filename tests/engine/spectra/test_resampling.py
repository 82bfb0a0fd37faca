"""Resampling: the flux in any interval stays, variances are those of the mean, masked pixels add nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.spectra.own_spectrum import OwnSpectrum
from engine.spectra.resampling import COVERED, is_on, on_grid, resampled
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import InputError
from models.grid import WavelengthGrid
from models.row_status import RowStatus

GRID = WavelengthGrid("small", "linear", 4000.0, 2.0, 100)
LOG_GRID = WavelengthGrid("small-log", "log10", 3.6, 3e-4, 90)


def random_spectrum(seed: int, pixels: int = 300, masked: float = 0.1, step: float = 0.9) -> OwnSpectrum:
    generator = np.random.default_rng(seed)
    # Steps that change smoothly: no two neighbours differ as where a pixel is missing.
    wavelength = 3980.0 + np.cumsum(step * (1 + 0.3 * np.sin(np.arange(pixels) / 40)))
    ivar = generator.uniform(0.5, 4.0, pixels) * (generator.uniform(size=pixels) >= masked)
    return OwnSpectrum(wavelength, generator.normal(2.0, 1.0, pixels), ivar, 0.1)


def dense_reference(
    spectrum: OwnSpectrum, grid: WavelengthGrid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same by a dense matrix of overlaps, pixel by pixel."""
    middle = 0.5 * (spectrum.wavelength[1:] + spectrum.wavelength[:-1])
    first = np.concatenate(([2 * spectrum.wavelength[0] - middle[0]], middle))
    last = np.concatenate((middle, [2 * spectrum.wavelength[-1] - middle[-1]]))
    edges = grid.wavelength_at(np.arange(grid.size + 1) - 0.5)
    overlap = np.minimum(last[None], edges[1:, None]) - np.maximum(first[None], edges[:-1, None])
    overlap = np.clip(overlap, 0, None) * spectrum.good
    covered = overlap.sum(axis=1)
    kept = covered >= COVERED * np.diff(edges)
    share = overlap / np.where(covered > 0, covered, 1)[:, None]
    variance = np.divide(1, spectrum.ivar, out=np.zeros_like(spectrum.ivar), where=spectrum.good)
    spread = np.square(share) @ variance
    ivar = np.divide(1, spread, out=np.zeros_like(spread), where=kept)
    return np.where(kept, share @ spectrum.flux, 0), ivar


@pytest.mark.parametrize("grid", [GRID, LOG_GRID])
@pytest.mark.parametrize("step", [0.3, 0.9, 5.0])
def test_it_is_what_a_dense_matrix_of_overlaps_gives(grid: WavelengthGrid, step: float) -> None:
    spectrum = random_spectrum(1, int(260 / step), step=step)
    found, (flux, ivar) = resampled(spectrum, grid), dense_reference(spectrum, grid)
    assert not found.exact
    assert (ivar > 0).any()
    np.testing.assert_allclose(found.flux, flux, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.ivar, ivar, rtol=1e-9)


def test_it_is_what_specutils_gives() -> None:
    specutils = pytest.importorskip("specutils")
    manipulation = pytest.importorskip("specutils.manipulation")
    from astropy import units
    from astropy.nddata import InverseVariance

    spectrum = random_spectrum(5, masked=0.0)
    given = specutils.Spectrum(
        flux=spectrum.flux * units.Jy,
        spectral_axis=spectrum.wavelength * units.Angstrom,
        uncertainty=InverseVariance(spectrum.ivar / units.Jy**2),
    )
    resampler = manipulation.FluxConservingResampler(extrapolation_treatment="nan_fill")
    expected = resampler(given, GRID.wavelength() * units.Angstrom)
    found = resampled(spectrum, GRID)
    inside = slice(1, -1)  # at the ends specutils takes other edges for the grid's pixels
    np.testing.assert_allclose(found.flux[inside], expected.flux.value[inside], rtol=1e-9)
    np.testing.assert_allclose(found.ivar[inside], expected.uncertainty.array[inside], rtol=1e-9)


@given(st.integers(0, 1000), st.sampled_from([0.2, 0.7, 1.3]))
def test_the_flux_of_an_interval_stays(seed: int, step: float) -> None:
    spectrum = random_spectrum(seed, int(300 / step), masked=0.0, step=step)
    found = resampled(spectrum, GRID)
    assert (found.ivar > 0).all()
    middle = 0.5 * (spectrum.wavelength[1:] + spectrum.wavelength[:-1])
    held = np.concatenate(([0.0], np.cumsum(spectrum.flux[1:-1] * np.diff(middle))))
    first, last = GRID.start - 0.5 * GRID.step, GRID.start + (GRID.size - 0.5) * GRID.step
    expected = np.interp(last, middle, held) - np.interp(first, middle, held)
    assert found.flux.sum() * GRID.step == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("grid", [DESI_GRID, SDSS_GRID])
def test_pixels_of_the_grid_are_not_changed(grid: WavelengthGrid) -> None:
    wavelength = grid.wavelength()[100:3000:1].astype(np.float32).astype(np.float64)
    generator = np.random.default_rng(0)
    ivar = generator.uniform(0, 1, len(wavelength)) * (generator.uniform(size=len(wavelength)) > 0.2)
    spectrum = OwnSpectrum(wavelength, generator.normal(size=len(wavelength)), ivar)
    assert is_on(grid, spectrum.wavelength)
    found = resampled(spectrum, grid)
    assert found.exact
    np.testing.assert_array_equal(found.flux[100:3000], spectrum.flux)
    np.testing.assert_array_equal(found.ivar[100:3000], spectrum.ivar)
    assert not found.ivar[:100].any()
    assert not found.ivar[3000:].any()


def test_pixels_that_are_missing_are_no_evidence() -> None:
    whole = random_spectrum(2, masked=0.0)
    kept = np.ones(300, bool)
    kept[120:150] = False
    cut = OwnSpectrum(whole.wavelength[kept], whole.flux[kept], whole.ivar[kept])
    masked = OwnSpectrum(whole.wavelength, whole.flux, np.where(kept, whole.ivar, 0))
    found, expected = resampled(cut, GRID), resampled(masked, GRID)
    np.testing.assert_array_equal(found.ivar > 0, expected.ivar > 0)
    np.testing.assert_allclose(found.flux, expected.flux, atol=0.2)
    gap = (GRID.wavelength() > whole.wavelength[121]) & (GRID.wavelength() < whole.wavelength[148])
    assert gap.any()
    assert not found.ivar[gap].any()


def test_scale_of_flux_carries_over() -> None:
    spectrum = random_spectrum(3)
    scaled = OwnSpectrum(spectrum.wavelength, spectrum.flux * 8, spectrum.ivar / 64)
    np.testing.assert_allclose(resampled(scaled, GRID).flux, resampled(spectrum, GRID).flux * 8)
    np.testing.assert_allclose(resampled(scaled, GRID).ivar, resampled(spectrum, GRID).ivar / 64)


def test_on_a_grid_it_is_a_row_like_one_of_a_survey() -> None:
    spectrum = random_spectrum(4)
    found = on_grid(spectrum, GRID)
    assert found.flux.dtype == np.float32
    row = found.rows.data[0]
    assert (row["redshift"], row["status"], row["key"]) == (0.1, RowStatus.SCORED, "spectrum")
    assert row["good_fraction"] == np.float32((found.ivar > 0).mean())
    unknown = OwnSpectrum(spectrum.wavelength, spectrum.flux, spectrum.ivar)
    assert on_grid(unknown, GRID).rows["status"][0] == RowStatus.NO_REDSHIFT


WAVELENGTH = np.arange(4000.0, 4010.0)
ONES = np.ones(10)


def changed(values: NDArray[np.float64], at: int, value: float) -> NDArray[np.float64]:
    copy = values.copy()
    copy[at] = value
    return copy


@pytest.mark.parametrize(
    ("wavelength", "flux", "ivar", "words"),
    [
        (WAVELENGTH[:9], ONES, ONES, "same pixels.*wavelength \\(9,\\), flux \\(10,\\)"),
        (changed(WAVELENGTH, 3, np.nan), ONES, ONES, "not finite and positive.*1 of 10 pixels.*pixel 3"),
        (WAVELENGTH[::-1], ONES, ONES, "do not rise.*4009 Angstrom in pixel 0, 4008 in pixel 1.*Sort"),
        (changed(WAVELENGTH, 3, 4002.0), ONES, ONES, "Wavelengths repeat.*coadd"),
        (WAVELENGTH, ONES, changed(ONES, 2, -1), "negative.*1 of 10.*-1.0 in pixel 2"),
        (WAVELENGTH, ONES, changed(ONES, 2, np.inf), "not finite.*Set it to 0"),
        (WAVELENGTH, changed(ONES, 5, np.nan), ONES, "Flux is not finite.*nan in pixel 5.*variance to 0"),
        (WAVELENGTH, ["a"] * 10, ONES, "flux is not an array of numbers"),
    ],
)  # fmt: skip
def test_what_makes_no_spectrum_is_refused_in_full(
    wavelength: NDArray[np.float64], flux: NDArray[np.float64], ivar: NDArray[np.float64], words: str
) -> None:
    with pytest.raises(InputError, match="(?s)" + words) as caught:
        OwnSpectrum(wavelength, flux, ivar, source="mine.csv")
    assert caught.value.kind == "own-spectrum"
    assert "mine.csv" in caught.value.where
    assert caught.value.remedy


def test_flux_of_masked_pixels_does_not_matter() -> None:
    spectrum = OwnSpectrum(WAVELENGTH, changed(ONES, 5, np.nan), changed(ONES, 5, 0))
    assert spectrum.flux[5] == 0
