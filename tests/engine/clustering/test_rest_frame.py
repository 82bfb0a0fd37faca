"""Maps in the rest frame: nothing of them is lost or made up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.clustering.rest_frame import RestGrid, rebin
from models.grid import WavelengthGrid

LINEAR = WavelengthGrid("linear", "linear", 3600.0, 5.0, 300)
LOGARITHMIC = WavelengthGrid("log", "log10", 3.56, 5e-4, 300)


def overlaps(grid: WavelengthGrid, rest: RestGrid, redshift: float) -> NDArray[np.float64]:
    """(B, N) share of each pixel inside each bin, one pair at a time."""
    edges = grid.pixel(rest.edges() * (1.0 + redshift)) + 0.5
    share = np.zeros((rest.size, grid.size))
    for row in range(rest.size):
        for pixel in range(grid.size):
            share[row, pixel] = max(0.0, min(edges[row + 1], pixel + 1) - max(edges[row], pixel))
    return share


@pytest.mark.parametrize("grid", [LINEAR, LOGARITHMIC], ids=["linear", "log10"])
@pytest.mark.parametrize("step", [0.0007, 0.013])
def test_rebin_is_the_overlap_weighted_mean_of_good_pixels(grid: WavelengthGrid, step: float) -> None:
    generator = np.random.default_rng(3)
    redshift = np.array([0.0, 0.137, 0.9])
    rest = RestGrid.covering(grid, 0.0, 0.9, step)
    values = generator.normal(size=(3, grid.size))
    good = generator.random((3, grid.size)) > 0.2
    values[~good] = np.nan
    mean, coverage = rebin(values, good, redshift, grid, rest)
    for row, z in enumerate(redshift):
        share = overlaps(grid, rest, z)
        width = np.diff(grid.pixel(rest.edges() * (1.0 + z)))
        covered = (share * good[row]).sum(axis=1)
        np.testing.assert_allclose(coverage[row], covered / width, atol=1e-10)
        wanted = np.where(good[row], values[row], 0.0) @ share.T
        seen = covered > 1e-6
        np.testing.assert_allclose(mean[row, seen], wanted[seen] / covered[seen], atol=1e-6)
        assert np.all(mean[row, covered == 0.0] == 0.0)


@given(
    redshift=st.floats(0.0, 2.0),
    step=st.floats(0.0005, 0.02),
    masked=st.integers(0, 200),
    seed=st.integers(0, 100),
)
def test_rebin_conserves_the_sum_over_good_pixels(
    redshift: float, step: float, masked: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(1, LINEAR.size))
    good = np.ones((1, LINEAR.size), dtype=np.bool_)
    good[0, generator.integers(0, LINEAR.size, masked)] = False
    # Half a bin of margin: the first and last pixel reach half a pixel beyond their centres.
    rest = RestGrid.covering(LINEAR, redshift - 0.02, redshift + 0.02, step)
    mean, coverage = rebin(values, good, np.array([redshift]), LINEAR, rest)
    width = np.diff(LINEAR.pixel(rest.edges() * (1.0 + redshift)))
    assert (mean * coverage * width).sum() == pytest.approx(values[good].sum(), abs=1e-7)


def test_rows_without_a_usable_redshift_cover_nothing() -> None:
    rest = RestGrid.covering(LINEAR, 0.0, 0.5, 0.01)
    redshift = np.array([np.nan, np.inf, -1.0, -3.0])
    ones = np.ones((4, LINEAR.size))
    mean, coverage = rebin(ones, ones > 0, redshift, LINEAR, rest)
    assert not coverage.any()
    assert not mean.any()


def test_bins_outside_the_observed_range_are_not_covered() -> None:
    rest = RestGrid.covering(LINEAR, 0.0, 1.0, 0.01)
    ones = np.ones((1, LINEAR.size))
    _, coverage = rebin(ones, ones > 0, np.array([1.0]), LINEAR, rest)
    observed = rest.wavelength() * 2.0
    outside = (observed > LINEAR.wavelength()[-1] * 1.02) | (observed < LINEAR.wavelength()[0] * 0.98)
    assert not coverage[0, outside].any()
    assert np.all(coverage[0, (observed > 3700) & (observed < 5000)] == pytest.approx(1.0))


def test_grids_of_equal_step_share_their_bins() -> None:
    near = RestGrid.covering(LINEAR, 0.0, 0.1, 0.01)
    far = RestGrid.covering(LINEAR, 0.5, 0.9, 0.01)
    shared = np.intersect1d(near.first + np.arange(near.size), far.first + np.arange(far.size))
    assert len(shared) > 0
    np.testing.assert_array_equal(
        near.wavelength()[shared - near.first], far.wavelength()[shared - far.first]
    )
