"""Generic damage: finite, visible, within the spectrum's good pixels, of every family."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.corruption import FAMILIES, Target, damage


def target(seed: int, size: int = 800) -> Target:
    rng = np.random.default_rng(seed)
    wave = np.arange(size)
    model = (1 + 0.3 * wave / size + 4 * np.exp(-0.5 * ((wave - 400) / 3) ** 2)).astype(np.float32)
    ivar = np.where(rng.random(size) > 0.1, rng.uniform(4, 100, size), 0).astype(np.float32)
    noise = rng.normal(size=size) / np.sqrt(np.maximum(ivar, 1))
    return Target(np.where(ivar > 0, model + noise, 0).astype(np.float32), ivar, model)


@given(st.integers(0, 10_000))
def test_damage_is_finite_and_leaves_masked_pixels_alone(seed: int) -> None:
    spectrum = target(seed)
    done = damage(spectrum, np.random.default_rng(seed))
    assert np.isfinite(done.change).all()
    assert done.change.dtype == np.float32
    assert (done.change[spectrum.ivar == 0] == 0).all()
    expected = np.sqrt(np.sum(done.change.astype(np.float64) ** 2 * spectrum.ivar))
    assert done.significance == pytest.approx(expected, rel=1e-6)


def test_every_family_occurs_and_is_mostly_visible() -> None:
    rng = np.random.default_rng(0)
    seen: dict[int, list[float]] = {}
    for seed in range(400):
        done = damage(target(seed), rng)
        seen.setdefault(done.family, []).append(done.significance)
    assert set(seen) == set(range(len(FAMILIES)))
    for family, values in seen.items():
        assert np.median(values) > 8, FAMILIES[family].__name__


def test_damage_is_fixed_by_the_generator() -> None:
    first = damage(target(3), np.random.default_rng(5))
    again = damage(target(3), np.random.default_rng(5))
    assert first.family == again.family
    np.testing.assert_array_equal(first.change, again.change)
