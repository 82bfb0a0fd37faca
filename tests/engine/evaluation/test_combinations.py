"""Combinations over windows: what each makes of effects whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from engine.attribution.occlusion.attribution import WindowEffects, combined
from engine.attribution.occlusion.combine import PRESETS
from engine.evaluation.combinations import COMBINATIONS, NormalResponse

PIXELS, WINDOWS = 400, (1, 4, 16)


def effects(per_pixel: np.ndarray, masked: tuple[int, ...] = ()) -> WindowEffects:
    """Windows whose effects are the sums of their pixels' (M, N), masked ones never pasted."""
    good = np.ones(per_pixel.shape[1], dtype=np.bool_)
    good[list(masked)] = False
    before = np.pad(np.cumsum(np.where(good, per_pixel, 0), axis=1), ((0, 0), (1, 0)))
    scales = tuple(scale.pasting(good) for scale in PRESETS["paper"].scales(WINDOWS, len(good)))
    differences = tuple(before[:, scale.stop] - before[:, scale.start] for scale in scales)
    return WindowEffects(WINDOWS, scales, differences, good, -9.0, np.zeros(len(per_pixel)))


def noisy(seed: int, baselines: int = 8, masked: tuple[int, ...] = ()) -> WindowEffects:
    return effects(np.random.default_rng(seed).normal(size=(baselines, PIXELS)), masked)


def test_the_published_one_is_the_preset_to_the_byte() -> None:
    given = noisy(1)
    published = combined(given, PRESETS["paper"])
    same = combined(given, COMBINATIONS["1/sigma^2"])
    for name in ("maps", "spread", "combined"):
        assert getattr(published, name).tobytes() == getattr(same, name).tobytes()
    assert (published.peak_pixel, published.peak_scale) == (same.peak_pixel, same.peak_scale)


def test_each_is_what_its_name_says() -> None:
    given = noisy(2)
    every = [each[:, scale.of_pixel] for each, scale in zip(given.differences, given.scales, strict=True)]
    mean = np.stack([each.mean(axis=0) for each in every])
    sigma = np.stack([each.std(axis=0) for each in every])
    median = np.stack([np.median(each, axis=0) for each in every])
    length = np.stack([(scale.stop - scale.start)[scale.of_pixel] for scale in given.scales])
    expected = {
        "1/sigma": (mean / sigma).sum(axis=0) / (1 / sigma).sum(axis=0),
        "mean": mean.mean(axis=0),
        "largest": mean.max(axis=0),
        "largest per pixel": (mean / length).max(axis=0),
        "largest per root": (mean / np.sqrt(length)).max(axis=0),
        "per pixel, 1/sigma": (mean / sigma).sum(axis=0) / (length / sigma).sum(axis=0),
        "medians, largest": median.max(axis=0),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(combined(given, COMBINATIONS[name]).combined, values, rtol=1e-5)
    # mean/sigma with the scale's usual sigma added in quadrature.
    moderated = mean / np.hypot(sigma, np.median(sigma, axis=1, keepdims=True))
    found = combined(given, COMBINATIONS["largest mean/sigma"]).combined
    np.testing.assert_allclose(found, moderated.max(axis=0), rtol=1e-5)


@pytest.mark.parametrize("name", list(COMBINATIONS))
def test_masked_pixels_get_nothing_and_never_are_the_peak(name: str) -> None:
    given = noisy(3, masked=tuple(range(100, 130)))
    found = combined(given, COMBINATIONS[name])
    assert not found.combined[100:130].any()
    assert given.good[found.peak_pixel]
    empty = noisy(3, masked=tuple(range(PIXELS)))
    nothing = combined(empty, COMBINATIONS[name])
    assert not nothing.combined.any()
    assert (nothing.peak_pixel, nothing.peak_scale) == (-1, 0)


@pytest.mark.parametrize("name", list(COMBINATIONS))
def test_baselines_that_agree_on_everything_divide_by_no_zero(name: str) -> None:
    found = combined(effects(np.ones((8, 1)) * np.linspace(-1, 1, PIXELS)), COMBINATIONS[name])
    assert np.isfinite(found.combined).all()


def test_one_wild_baseline_moves_the_mean_and_not_the_median() -> None:
    """The published defect: seven baselines see nothing at a pixel, one sees all."""
    quiet = np.random.default_rng(4).normal(scale=0.01, size=(9, PIXELS))
    quiet[:, 50] += 1.0
    quiet[0, 300] += 100.0
    given = effects(quiet)
    assert abs(combined(given, COMBINATIONS["largest"]).peak_pixel - 300) < 16
    assert abs(combined(given, COMBINATIONS["medians, largest"]).peak_pixel - 50) < 16


def test_the_narrowest_window_that_does_it_all_is_named() -> None:
    steady = np.random.default_rng(5).normal(scale=0.01, size=(8, PIXELS))
    steady[:, 200] += 3.0
    found = combined(effects(steady), COMBINATIONS["largest per pixel"])
    assert (found.peak_pixel, found.peak_scale) == (200, 1)
    wide = np.random.default_rng(6).normal(scale=0.01, size=(8, PIXELS))
    wide[:, 192:208] += 1.0
    found = combined(effects(wide), COMBINATIONS["largest"])
    assert (found.peak_pixel, found.peak_scale) == (200, 16)


def test_what_normal_spectra_do_as_well_does_not_stand_out() -> None:
    """A region that is large in every spectrum, and a smaller one that is not."""
    usual = np.where(np.arange(PIXELS) < 150, 10.0, 1.0)
    random = np.random.default_rng(7)
    normal = [effects(usual * random.normal(size=(8, PIXELS))) for _ in range(40)]
    odd = usual * random.normal(size=(8, PIXELS))
    odd[:, 350] += 9.0
    assert combined(effects(odd), COMBINATIONS["largest"]).peak_pixel < 160
    response = NormalResponse.of(normal)
    # Where the region ends the smoothed size is between the two.
    np.testing.assert_allclose(response.size[0, [20, 350]], [10 / np.sqrt(8), 1 / np.sqrt(8)], rtol=0.1)
    found = combined(effects(odd), response.combination())
    assert abs(found.peak_pixel - 350) < 20
