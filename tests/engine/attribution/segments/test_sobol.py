"""Sobol indices: closed forms, and scores that do not vary."""

from __future__ import annotations

import numpy as np
import torch

from engine.attribution.segments.sobol import SOBOL, SobolSettings
from tests.engine.attribution.segments.games import OFF, Polynomial, game_subject


def test_indices_of_an_additive_score_are_its_squared_coefficients() -> None:
    coefficients = np.array([3.0, -1.0, 0.5, 0.0])
    game = Polynomial(4, {(place,): value for place, value in enumerate(coefficients)})
    found = SOBOL.attribute(game_subject(game, 4), SobolSettings(**OFF, samples=2048))
    expected = coefficients**2 / (coefficients**2).sum()
    np.testing.assert_allclose(found.weights, expected, atol=0.01)
    np.testing.assert_allclose(found.first_order, expected, atol=0.01)
    assert found.weights[3] == 0.0


def test_indices_of_the_g_function() -> None:
    """Sobol's test function, whose variables act together (Saltelli & Sobol 1995)."""
    a = np.array([0.0, 1.0, 4.5, 9.0])
    alone = 1 / (3 * (1 + a) ** 2)
    variance = np.prod(1 + alone) - 1
    total = alone * np.prod(1 + alone) / (1 + alone) / variance

    def log_prob(spectra: torch.Tensor) -> torch.Tensor:
        level = torch.from_numpy(a)
        return -((4 * spectra - 2).abs() + level).div(1 + level).prod(dim=1)

    found = SOBOL.attribute(game_subject(log_prob, 4), SobolSettings(**OFF, samples=4096))
    np.testing.assert_allclose(found.weights, total, atol=0.02)
    np.testing.assert_allclose(found.first_order, alone / variance, atol=0.03)
    assert (found.weights + 0.01 > found.first_order).all()


def test_a_score_that_never_changes_has_indices_of_zero() -> None:
    found = SOBOL.attribute(game_subject(lambda x: 0 * x.sum(dim=1) - 1, 3), SobolSettings(**OFF))
    np.testing.assert_array_equal(found.weights, 0)
    np.testing.assert_array_equal(found.first_order, 0)


def test_the_cost_is_what_it_says() -> None:
    counted = 0

    def log_prob(spectra: torch.Tensor) -> torch.Tensor:
        nonlocal counted
        counted += len(spectra)
        return -spectra.sum(dim=1)

    settings = SobolSettings(**OFF, samples=16)
    SOBOL.attribute(game_subject(log_prob, 7), settings)
    assert counted == SOBOL.passes(settings, 7) + 2 == 16 * 9 + 2
