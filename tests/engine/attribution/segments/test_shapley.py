"""Shapley values: closed forms, axioms, and samples that come to the exact ones."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.attribution.attribution import Attribution
from engine.attribution.methods import method_of
from engine.attribution.segments.exact_shapley import EXACT_SHAPLEY, ExactShapleySettings
from engine.attribution.segments.kernel_shap import KERNEL_SHAP, KernelShapSettings
from engine.attribution.segments.permutation_shapley import PERMUTATION_SHAPLEY, PermutationSettings
from engine.attribution.segments.settings import SegmentSettings
from engine.attribution.subject import Subject
from tests.engine.attribution.segments.games import OFF, Polynomial, drawn, game_subject

EXACT = ExactShapleySettings(**OFF)
ALL = KernelShapSettings(**OFF, samples=2**12)
PAIRED = KernelShapSettings(**OFF, samples=400)
ORDERS = PermutationSettings(**OFF)
EVERY: tuple[SegmentSettings, ...] = (EXACT, ALL, PAIRED, ORDERS)


def name_of(settings: SegmentSettings) -> str:
    return settings.method


def attributed(subject: Subject, settings: SegmentSettings) -> Attribution:
    return method_of(settings).attribute(subject, settings)


@pytest.mark.parametrize("players", [1, 2, 5, 12])
def test_exact_values_have_the_closed_form(players: int) -> None:
    game = drawn(players, tuple(range(1, min(players, 4) + 1)), each=6)
    found = EXACT_SHAPLEY.attribute(game_subject(game, players), EXACT)
    np.testing.assert_allclose(found.weights, game.shapley(), atol=1e-11)


def test_exact_values_are_the_mean_over_all_orders() -> None:
    game = drawn(4, (1, 2, 3, 4), each=3)
    value = {
        inside: -float(game(_switched(inside)))
        for size in range(5)
        for inside in itertools.combinations(range(4), size)
    }
    expected = np.zeros(4)
    for order in itertools.permutations(range(4)):
        for place, player in enumerate(order):
            before = tuple(sorted(order[:place]))
            expected[player] += value[tuple(sorted((*before, player)))] - value[before]
    found = EXACT_SHAPLEY.attribute(game_subject(game, 4), EXACT)
    np.testing.assert_allclose(found.weights, expected / math.factorial(4), atol=1e-12)


def _switched(inside: tuple[int, ...]) -> object:
    import torch

    spectrum = torch.zeros(1, 4, dtype=torch.float64)
    spectrum[0, list(inside)] = 1.0
    return spectrum


@pytest.mark.parametrize("players", [1, 2, 3, 8, 12])
def test_kernel_shap_of_all_coalitions_is_exact(players: int) -> None:
    game = drawn(players, tuple(range(1, min(players, 5) + 1)), seed=1, each=5)
    found = KERNEL_SHAP.attribute(game_subject(game, players), ALL)
    np.testing.assert_allclose(found.weights, game.shapley(), atol=1e-9)
    np.testing.assert_array_equal(found.errors, 0)


@pytest.mark.parametrize("settings", [PAIRED, ORDERS], ids=name_of)
def test_samples_in_pairs_are_exact_if_segments_act_in_pairs_at_most(settings: SegmentSettings) -> None:
    game = drawn(14, (1, 2), seed=2, each=20)
    found = attributed(game_subject(game, 14), settings)
    np.testing.assert_allclose(found.maps[0], game.shapley(), atol=1e-9)
    np.testing.assert_allclose(found.spread, 0, atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        replace(PAIRED, samples=300),
        replace(PAIRED, samples=600, sampling="independent"),
        replace(ORDERS, permutations=64),
    ],
    ids=["paired", "independent", "permutations"],
)
def test_standard_errors_cover_what_they_say(settings: SegmentSettings) -> None:
    game = drawn(13, (1, 2, 3), seed=3)
    subject = game_subject(game, 13)
    draws = [attributed(subject, replace(settings, seed=seed)) for seed in range(80)]
    away = np.array([each.maps[0] - game.shapley() for each in draws])
    errors = np.array([each.spread[0] for each in draws])
    known = errors.mean(axis=0) > 1e-9  # permutations know an additive segment exactly
    away = away[:, known] / errors[:, known]
    assert 0.90 < (np.abs(away) < 1.96).mean() < 0.97
    assert np.abs(away.mean(axis=0)).max() < 0.5


@pytest.mark.parametrize("settings", EVERY, ids=name_of)
@given(seed=st.integers(0, 10_000), players=st.integers(2, 8))
def test_axioms(settings: SegmentSettings, seed: int, players: int) -> None:
    """Efficiency; the last pixel is a dummy; the first two are alike."""
    terms = dict(drawn(players, (1, 2), seed, each=3).terms)
    swap = {0: 1, 1: 0}
    both: dict[tuple[int, ...], float] = {}
    for inside, coefficient in terms.items():
        for some in (inside, tuple(sorted(swap.get(each, each) for each in inside))):
            both[some] = both.get(some, 0.0) + coefficient
    found = attributed(game_subject(Polynomial(players + 1, both), players + 1), settings)
    weights = found.maps[0]
    assert weights.sum() == pytest.approx(found.score - found.baseline_score, abs=1e-9)
    assert weights[players] == pytest.approx(0, abs=1e-9)
    assert weights[0] == pytest.approx(weights[1], abs=1e-9)


def test_efficiency_holds_whatever_segments_do_together() -> None:
    game = drawn(12, (3, 5, 7), seed=6)
    for settings in (PAIRED, replace(PAIRED, sampling="independent"), ORDERS):
        found = attributed(game_subject(game, 12), settings)
        assert found.maps.sum() == pytest.approx(found.score - found.baseline_score, abs=1e-9)


def test_costs_are_what_they_say() -> None:
    counted = 0
    game = drawn(10, (1, 2))

    def log_prob(spectra: object) -> object:
        nonlocal counted
        counted += len(spectra)  # type: ignore[arg-type]
        return game(spectra)  # type: ignore[arg-type]

    for method, settings in (
        (KERNEL_SHAP, replace(PAIRED, samples=100)),
        (PERMUTATION_SHAPLEY, ORDERS),
        (EXACT_SHAPLEY, EXACT),
    ):
        counted = 0
        method.attribute(game_subject(log_prob, 10), settings)
        # The scores of spectrum and replacement are asked besides.
        assert counted == method.passes(settings, 10) + 2
