"""Combinations over windows: what each makes of effects whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from engine.attribution.occlusion.attribution import WindowEffects, combined
from engine.attribution.occlusion.combine import COMBINATIONS
from engine.attribution.occlusion.settings import CombinationName, OcclusionSettings, Spacing
from engine.attribution.occlusion.windows import scales_of

PIXELS, WINDOWS = 400, (1, 4, 16)


def effects(per_pixel: np.ndarray, masked: tuple[int, ...] = (), spacing: Spacing = "dense") -> WindowEffects:
    """Windows whose effects are the sums of their pixels' (M, N), masked ones never pasted."""
    good = np.ones(per_pixel.shape[1], dtype=np.bool_)
    good[list(masked)] = False
    before = np.pad(np.cumsum(np.where(good, per_pixel, 0), axis=1), ((0, 0), (1, 0)))
    settings = OcclusionSettings(spacing=spacing, windows=WINDOWS, baselines=len(per_pixel))
    scales = tuple(scale.pasting(good) for scale in scales_of(settings, len(good)))
    differences = tuple(before[:, scale.stop] - before[:, scale.start] for scale in scales)
    return WindowEffects(settings, scales, differences, good, 9.0, np.zeros(len(per_pixel)))


def noisy(seed: int, masked: tuple[int, ...] = (), spacing: Spacing = "dense") -> WindowEffects:
    return effects(np.random.default_rng(seed).normal(size=(8, PIXELS)), masked, spacing)


@pytest.mark.parametrize("spacing", ["dense", "tiled"])
def test_each_is_what_its_name_says(spacing: Spacing) -> None:
    given = noisy(2, spacing=spacing)
    every = []
    for each, scale in zip(given.differences, given.scales, strict=True):
        length = scale.stop - scale.start if spacing == "tiled" else np.ones(len(scale))
        every.append((each / length)[:, scale.of_pixel])
    mean = np.stack([each.mean(axis=0) for each in every])
    sigma = np.stack([each.std(axis=0) for each in every])
    # mean/sigma with the scale's usual sigma added in quadrature.
    usual = np.median(sigma, axis=1, keepdims=True)
    expected: dict[CombinationName, np.ndarray] = {
        "mean": mean.mean(axis=0),
        "significance": (mean / np.hypot(sigma, usual)).mean(axis=0),
        "inverse-variance": (mean / sigma**2).sum(axis=0) / (1 / sigma**2).sum(axis=0),
        "inverse-deviation": (mean / sigma).sum(axis=0) / (1 / sigma).sum(axis=0),
    }
    assert list(expected) == list(COMBINATIONS)
    for name, values in expected.items():
        np.testing.assert_allclose(combined(given, name).combined, values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", list(COMBINATIONS))
def test_masked_pixels_get_nothing_and_never_are_the_peak(name: CombinationName) -> None:
    given = noisy(3, masked=tuple(range(100, 130)))
    found = combined(given, name)
    assert not found.combined[100:130].any()
    assert given.good[found.peak_pixel]
    nothing = combined(noisy(3, masked=tuple(range(PIXELS))), name)
    assert not nothing.combined.any()
    assert (nothing.peak_pixel, nothing.peak_scale) == (-1, 0)


@pytest.mark.parametrize("name", list(COMBINATIONS))
def test_baselines_that_agree_on_everything_divide_by_no_zero(name: CombinationName) -> None:
    found = combined(effects(np.ones((8, 1)) * np.linspace(-1, 1, PIXELS)), name)
    assert np.isfinite(found.combined).all()
