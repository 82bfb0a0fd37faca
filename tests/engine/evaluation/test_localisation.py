"""Localisation: what the measures say of maps whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.localisation import REACH, InjectedPlace, localise, random_map

WAVELENGTH = 4000.0 + 2.0 * np.arange(400)


def place(first: int, stop: int, masked: tuple[int, ...] = ()) -> InjectedPlace:
    good = np.ones(400, dtype=np.bool_)
    good[list(masked)] = False
    injected = np.zeros(400, dtype=np.bool_)
    injected[first:stop] = True
    return InjectedPlace(WAVELENGTH, good, injected & good)


def test_a_map_that_is_the_truth_is_perfect() -> None:
    found = localise(place(50, 60).injected.astype(np.float32), place(50, 60))
    assert (found.located, found.distance, found.auc, found.mass) == (True, 0.0, 1.0, 1.0)


def test_a_map_that_is_the_opposite_is_as_bad_as_can_be() -> None:
    found = localise(1.0 - place(50, 60).injected, place(50, 60))
    # The bluest of the highest pixels is 50 pixels of 2 Angstrom from the injected ones.
    assert (found.located, found.distance, found.auc, found.mass) == (False, 100.0, 0.0, 0.0)


@pytest.mark.parametrize("offset", [-6, -5, 0, 9, 14, 15])
def test_a_peak_counts_within_ten_angstrom_of_the_injected_pixels(offset: int) -> None:
    peaked = np.zeros(400)
    peaked[100 + offset] = 1.0
    found = localise(peaked, place(100, 110))
    away = 2.0 * max(-offset, offset - 9, 0)
    assert found.distance == away
    assert found.located == (away <= REACH)


def test_masked_pixels_do_not_count() -> None:
    """The highest value, the positive mass and the ranks are those of good pixels."""
    injected = place(50, 60, masked=(55, 300))
    values = np.linspace(0.0, 0.1, 400)
    values[50:60] = 1.0
    values[300] = 100.0
    found = localise(values, injected)
    assert found.located
    assert found.auc == 1.0
    good = injected.good
    np.testing.assert_allclose(found.mass, 9.0 / values[good].sum())


def test_a_flat_map_ranks_by_chance_and_has_its_share_of_the_mass() -> None:
    where = place(50, 90)
    found = localise(np.ones(400), where)
    assert found.auc == 0.5
    np.testing.assert_allclose(found.mass, where.area)
    assert np.isnan(localise(-np.ones(400), where).mass)


def test_where_everything_is_injected_there_is_nothing_to_rank() -> None:
    found = localise(np.arange(400.0), place(0, 400))
    assert found.located
    assert np.isnan(found.auc)
    assert place(0, 400).chance == 1.0


@given(st.integers(0, 10_000), st.integers(1, 30), st.booleans())
def test_the_rank_measure_is_that_of_all_pairs(seed: int, width: int, tied: bool) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(0, 4, 400).astype(float) if tied else random.random(400)
    first = int(random.integers(0, 400 - width))
    where = place(first, first + width, masked=tuple(random.integers(0, 400, 20).tolist()))
    if not where.injected.any():
        return
    inside = values[where.injected][:, None]
    outside = values[where.good & ~where.injected][None]
    pairs = (inside > outside).mean() + 0.5 * (inside == outside).mean()
    np.testing.assert_allclose(localise(values, where).auc, pairs)


def test_random_maps_hit_as_often_as_chance_says() -> None:
    where = place(100, 140)
    random = np.random.default_rng(5)
    hits = [localise(random.random(400), where).located for _ in range(2000)]
    # Injected 40 pixels and 5 on each side, of 400.
    assert where.chance == 50 / 400
    assert abs(np.mean(hits) - where.chance) < 4 * np.sqrt(where.chance * (1 - where.chance) / 2000)


def test_random_maps_follow_their_seed() -> None:
    good = place(0, 1, masked=(7, 31, 32)).good
    assert np.array_equal(random_map(good, 1), random_map(good, 1))
    assert not np.array_equal(random_map(good, 1), random_map(good, 2))
    assert not random_map(good, 1)[~good].any()
