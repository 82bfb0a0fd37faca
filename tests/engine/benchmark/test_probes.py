"""Mu-fidelity and infidelity against what is exact for linear scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.benchmark.probes import SEGMENT, SETS, WIDEST, Probes, infidelity, random_sets, random_windows
from engine.benchmark.removal import Removal

PIXELS = 1000


def probes(weights: np.ndarray, flux: np.ndarray) -> Probes:
    good = np.arange(PIXELS) % 50 != 3
    return Probes.of(Removal(flux, np.zeros(PIXELS), good, lambda spectra: spectra @ weights), seed=4)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_gradient_times_input_of_a_linear_score_is_exact_in_any_unit(seed: int, unit: float) -> None:
    random = np.random.default_rng(seed)
    weights, flux = random.normal(size=PIXELS), random.normal(size=PIXELS)
    weights *= np.sign(weights @ flux)
    found = probes(weights, flux).measures(unit * weights * flux)
    if np.isfinite(found["infidelity"]):  # else the good pixels alone lower the score: there is no rise
        assert found["infidelity"] == pytest.approx(0, abs=1e-9)
        assert found["mu_fidelity"] == pytest.approx(1)


def test_maps_that_say_nothing_say_nothing() -> None:
    random = np.random.default_rng(1)
    weights, flux = random.uniform(size=PIXELS), random.uniform(1, 2, size=PIXELS)
    asked = probes(weights, flux)
    assert asked.measures(np.zeros(PIXELS)) == {"mu_fidelity": 0.0, "infidelity": 1.0}
    assert asked.measures(-weights * flux)["mu_fidelity"] == pytest.approx(-1)


def test_infidelity_is_the_least_square_error_over_all_factors() -> None:
    random = np.random.default_rng(2)
    given_, lost = random.normal(size=30), random.normal(size=30)
    factors = np.linspace(-3, 3, 20001)
    errors = ((factors[:, None] * given_ - lost) ** 2).sum(axis=1) / (lost**2).sum()
    assert infidelity(given_, lost) == pytest.approx(errors.min(), abs=1e-6)


def test_sets_are_a_fifth_of_the_segments_and_windows_lie_in_the_spectrum() -> None:
    random, good = np.random.default_rng(3), np.ones(7781, dtype=np.bool_)
    sets = random_sets(random, good)
    assert sets.shape == (SETS, 7781)
    whole = sets[:, : 243 * SEGMENT].reshape(SETS, 243, SEGMENT)
    assert (whole.all(axis=2) == whole.any(axis=2)).all()
    assert np.abs(sets.mean(axis=1) - 0.2).max() < 0.005
    windows = random_windows(random, good)
    edges = np.abs(np.diff(np.pad(windows, ((0, 0), (1, 1))).astype(int), axis=1)).sum(axis=1)
    assert (edges == 2).all()
    assert 1 <= windows.sum(axis=1).min() < 8
    assert 500 < windows.sum(axis=1).max() <= WIDEST
    assert not random_sets(random, ~good).any()
