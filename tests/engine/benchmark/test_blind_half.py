"""The half that a scorer cannot see: what is there, and what maps are told for pointing at it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.benchmark.blind_half import DECOY_STRENGTH, BlindHalf

PIXELS = 3000


@pytest.fixture(scope="module")
def half() -> BlindHalf:
    flux, ivar, change = np.ones(PIXELS, np.float32), np.full(PIXELS, 4.0, np.float32), np.zeros(PIXELS)
    change[500:520] = 1.0
    return BlindHalf.of(flux, ivar, change, seed=3)


def test_it_is_the_half_without_the_anomaly_and_its_lines_are_as_strong_as_said(half: BlindHalf) -> None:
    assert half.unseen.tolist() == [False] * 1500 + [True] * 1500
    lines = half.flux - 1
    assert half.decoys.any()
    assert not (half.decoys & ~half.unseen).any()
    # Three lines; where they overlap their sum is stronger.
    strength = float(np.sqrt((lines**2 * 4.0).sum()))
    assert strength >= DECOY_STRENGTH * np.sqrt(3) * 0.999


def test_maps_are_told_what_they_say_of_it(half: BlindHalf) -> None:
    good = np.ones(PIXELS, dtype=bool)
    right = np.zeros(PIXELS)
    right[500:520] = 1.0
    assert half.measures(right, good, 64) == {"leak": 0.0, "exact_zero": 1.0, "decoy": 0.0, "decoyed": 0.0}
    # A window of 64 pixels at the border may reach so far, and no farther.
    right[1563] = 1.0
    assert half.measures(right, good, 64)["exact_zero"] == 1.0
    right[1564] = -1.0
    assert half.measures(right, good, 64)["exact_zero"] == 0.0
    assert half.measures(right, good, 64)["leak"] == pytest.approx(1 / 22)
    fooled = half.measures(half.decoys.astype(float), good, 64)
    assert (fooled["exact_zero"], fooled["decoy"], fooled["decoyed"]) == (0.0, 1.0, 1.0)
    assert fooled["leak"] > 0.8
    assert half.measures(np.zeros(PIXELS), good, 64)["exact_zero"] == 1.0
    for nothing in (half.measures(np.full(PIXELS, np.nan), good, 64), half.measures(right, good, PIXELS)):
        assert all(np.isnan(each) for each in nothing.values())
