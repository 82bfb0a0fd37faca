"""The quick median is the median."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.spectra.signal_to_noise import good_fraction, median_snr


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


def test_a_ratio_beyond_float32_does_not_warn() -> None:
    flux = np.full((1, 3), 3e38, dtype=np.float32)
    assert median_snr(flux, flux)[0] == pytest.approx(np.inf)
