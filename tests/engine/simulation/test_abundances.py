"""Lines that differ among galaxies: by how much, where, and that nothing else changes."""

from __future__ import annotations

import numpy as np

from engine.simulation.abundances import FEATURES, SODIUM, vary_abundances
from engine.simulation.instrument import instrument

REDSHIFT = 0.1


def changed(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rest wavelengths of one arm that has all features from Mg b on, and what becomes of a flux of one."""
    arms = instrument("dr1", 0).arms
    flux = [np.ones(arm.grid.size) for arm in arms]
    vary_abundances(np.random.default_rng(seed), flux, arms, REDSHIFT, 150.0)
    rest = np.concatenate([arm.wavelength for arm in arms]) / (1 + REDSHIFT)
    return rest, np.concatenate(flux)


def test_widths_scatter_as_stated_and_sodium_only_deepens_beyond() -> None:
    places = {"magnesium": 5176.0, "iron": 5271.0, "sodium": 5894.6}
    widths: dict[str, list[float]] = {name: [] for name in places}
    for seed in range(400):
        rest, flux = changed(seed)
        for name, place in places.items():
            near = np.abs(rest - place) < 45
            order = np.argsort(rest[near])
            widths[name].append(float(np.trapezoid((1 - flux[near])[order], rest[near][order])))
    # Metals' share is uniform from 0 to 1: its mean square is a third.
    assert 0.8 * 0.7 < np.std(widths["magnesium"]) / np.sqrt(1 / 3) < 0.8 * 1.5
    assert abs(np.mean(widths["iron"])) < 0.05
    assert np.mean(widths["sodium"]) > 0.25
    assert np.corrcoef(widths["magnesium"], widths["iron"])[0, 1] < 0


def test_nothing_changes_away_from_the_features() -> None:
    centres = np.array([*(each.wavelength for each in FEATURES), *SODIUM])
    for seed in range(5):
        rest, flux = changed(seed)
        away = np.abs(rest[:, None] - centres).min(axis=1) > 100
        np.testing.assert_allclose(flux[away], 1.0, rtol=0, atol=1e-9)
        assert (flux > 0).all()
        assert np.abs(flux[~away] - 1.0).max() > 0.01
