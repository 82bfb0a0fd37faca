"""The minimal set: greedy against a plain loop, its curve, and where it ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.attribution.segments.minimal_set import MINIMAL_SET, MinimalSetSettings
from tests.engine.attribution.segments.games import OFF, Polynomial, drawn, game_subject


def test_segments_of_an_additive_score_join_by_what_they_add() -> None:
    game = Polynomial(5, {(0,): 1.0, (1,): 6.0, (2,): 0.0, (3,): 2.0, (4,): 1.5})
    found = MINIMAL_SET.attribute(game_subject(game, 5), MinimalSetSettings(**OFF))
    assert found.order.tolist() == [1, 3, 4]  # 9.5 of 10.5 is more than 0.9
    np.testing.assert_allclose(found.curve, [0, 6, 8, 9.5])
    np.testing.assert_allclose(found.weights, [0, 6, 0, 2, 1.5])
    assert found.kept


def test_greedy_is_the_plain_loop() -> None:
    game = drawn(9, (1, 2, 3), seed=8)
    found = MINIMAL_SET.attribute(game_subject(game, 9), MinimalSetSettings(**OFF, keep=1.0, most=9))
    inside: list[int] = []
    for joined, value in zip(found.order, found.curve[1:], strict=True):
        rises = {}
        for other in set(range(9)) - set(inside):
            spectrum = torch.zeros(1, 9, dtype=torch.float64)
            spectrum[0, [*inside, other]] = 1.0
            rises[other] = -float(game(spectrum))
        best = max(rises, key=lambda one: rises[one])
        assert best == joined
        assert value == pytest.approx(rises[best])
        inside.append(best)


def test_a_set_that_may_not_be_large_enough_says_so() -> None:
    game = Polynomial(5, dict.fromkeys([(place,) for place in range(5)], 1.0))
    found = MINIMAL_SET.attribute(game_subject(game, 5), MinimalSetSettings(**OFF, most=2))
    assert found.order.tolist() == [0, 1]
    assert not found.kept


def test_a_spectrum_less_odd_than_its_replacement_has_nothing_to_keep() -> None:
    game = Polynomial(3, {(0,): -1.0, (1,): 0.5})
    found = MINIMAL_SET.attribute(game_subject(game, 3), MinimalSetSettings(**OFF))
    assert not len(found.order)
    assert not found.kept
    np.testing.assert_array_equal(found.weights, 0)


def test_the_cost_is_the_most_that_it_takes() -> None:
    counted = 0

    def log_prob(spectra: torch.Tensor) -> torch.Tensor:
        nonlocal counted
        counted += len(spectra)
        return -spectra.sum(dim=1)

    for most in (3, 20):
        counted = 0
        settings = MinimalSetSettings(**OFF, keep=1.0, most=most)
        MINIMAL_SET.attribute(game_subject(log_prob, 7), settings)
        assert counted == MINIMAL_SET.passes(settings, 7) + 2
