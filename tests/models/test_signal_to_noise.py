"""The quick median is the median."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.spectra.pixels import good_fraction
from models.signal_to_noise import median_snr, signal_to_noise


@given(
    pixels=st.sampled_from([1, 2, 5, 64, 2047, 2048, 4801, 7781]),
    good=st.floats(0, 1),
    kind=st.sampled_from(["noise", "steps", "sorted", "periodic", "constant"]),
    seed=st.integers(0, 1000),
)
def test_median_equals_numpy(pixels: int, good: float, kind: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    flux = random.normal(1, 2, (3, pixels)).astype(np.float32)
    if kind == "steps":
        flux = np.round(flux)
    elif kind == "sorted":
        flux.sort(axis=1)
    elif kind == "periodic":
        flux[:] = np.where(np.arange(pixels) % 30 == 0, 1e6, -1e6)
    elif kind == "constant":
        flux[:] = 3
    ivar = np.where(random.uniform(size=flux.shape) < good, 4, 0).astype(np.float32)
    found = median_snr(flux, ivar)
    for row in range(3):
        chosen = (flux[row] * np.sqrt(ivar[row]))[ivar[row] > 0]
        if chosen.size:
            assert found[row] == np.float32(np.median(chosen.astype(np.float64)))
        else:
            assert np.isnan(found[row])
    np.testing.assert_allclose(good_fraction(ivar), (ivar > 0).mean(axis=1), atol=1e-7)


@given(
    pixels=st.sampled_from([1, 2, 3, 64, 2048, 7781]),
    good=st.floats(0, 1),
    steps=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_ratio_of_tails_is_the_lower_median_of_torch_to_the_last_bit(
    pixels: int, good: float, steps: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    flux = torch.from_numpy(random.normal(1, 2, (3, pixels)).astype(np.float32))
    flux = flux.round() if steps else flux
    ivar = torch.from_numpy(random.lognormal(0, 1, (3, pixels)).astype(np.float32))
    ivar[torch.from_numpy(random.uniform(size=(3, pixels)) >= good)] = 0
    before = flux.clone(), ivar.clone()
    found = signal_to_noise(flux, ivar)
    expected = torch.where(ivar > 0, flux * ivar.sqrt(), torch.nan).nanmedian(dim=1).values.numpy()
    np.testing.assert_array_equal(found, expected)
    assert torch.equal(flux, before[0])
    assert torch.equal(ivar, before[1])
    rows = median_snr(flux.numpy(), ivar.numpy())
    np.testing.assert_allclose(found[rows == found], expected[rows == found])


def test_a_pixel_whose_ratio_is_no_number_does_not_count() -> None:
    flux = torch.tensor([[1.0, torch.nan, 3.0, 2.0], [torch.nan] * 4])
    np.testing.assert_array_equal(signal_to_noise(flux, torch.ones(2, 4)), np.float32([2.0, np.nan]))


def test_a_ratio_beyond_float32_does_not_warn() -> None:
    flux = np.full((1, 3), 3e38, dtype=np.float32)
    assert median_snr(flux, flux)[0] == pytest.approx(np.inf)
