"""Dust and gas before a source, against published values."""

import numpy as np
import pytest

from engine.simulation.extinction import (
    milky_way_transmission,
    quasar_transmission,
    starburst_transmission,
)
from engine.simulation.instrument import instrument
from engine.simulation.lyman_forest import LYMAN_ALPHA, absorb


def magnitudes(transmission: np.ndarray) -> np.ndarray:
    return -2.5 * np.log10(transmission)


def test_the_milky_way_takes_published_magnitudes() -> None:
    # B, V, R and I: by definition A(B) - A(V) = E(B-V), and A(V) = 3.1 E(B-V).
    taken = magnitudes(milky_way_transmission(np.array([4399.0, 5495.0, 6450.0, 8000.0]), 1.0))
    assert taken[0] - taken[1] == pytest.approx(1.0, abs=0.05)
    assert taken[1] == pytest.approx(3.1, abs=0.1)
    assert np.all(np.diff(taken) < 0)


def test_starburst_dust_is_grey_and_without_a_seam() -> None:
    taken = magnitudes(starburst_transmission(np.array([5500.0, 6299.9, 6300.1, 9000.0]), 1.0))
    assert taken[0] == pytest.approx(4.05, abs=0.02)
    assert taken[1] == pytest.approx(taken[2], abs=0.03)
    assert taken[3] < taken[2]


def test_taking_dust_away_undoes_it() -> None:
    wavelength = np.linspace(1500.0, 9500.0, 50)
    for law in (milky_way_transmission, starburst_transmission, quasar_transmission):
        place = wavelength + 2000.0
        np.testing.assert_allclose(law(place, 0.3) * law(place, -0.3), 1.0)
        assert np.all(np.diff(law(place, 0.3)) > 0)


def test_the_forest_takes_its_published_share_in_the_mean_and_nothing_redward() -> None:
    arms = instrument("dr1").arms
    redshift = 3.2
    total = np.zeros(arms[0].grid.size)
    for seed in range(150):
        flux = [np.ones(arm.grid.size) for arm in arms]
        absorb(np.random.default_rng(seed), arms, flux, redshift)
        total += flux[0] / 150
        # Overlapping arms see the same gas.
        np.testing.assert_allclose(flux[0][-51:], flux[1][:51], atol=1e-9)
    wavelength = arms[0].wavelength
    forest = (wavelength > 1040 * (1 + redshift)) & (wavelength < 1180 * (1 + redshift))
    depth = 0.0018 * (wavelength[forest] / LYMAN_ALPHA) ** 3.92
    assert total[forest].mean() == pytest.approx(np.exp(-depth).mean(), abs=0.02)
    redward = wavelength > 1220 * (1 + redshift)
    assert total[redward].mean() > 0.98
