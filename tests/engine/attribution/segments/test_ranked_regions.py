"""Ranked regions: the ranking against a plain loop, and what the map says."""

from __future__ import annotations

import numpy as np

from engine.attribution.segments.ranked_regions import RANKED_REGIONS, RankedRegionsSettings, ranked
from engine.attribution.segments.segmentation import segments_of
from tests.engine.attribution.test_methods import PIXELS, subject


def test_the_ranking_is_that_of_a_plain_loop() -> None:
    random = np.random.default_rng(3)
    good = random.random(50) > 0.2
    values = np.where(good, random.normal(size=50), 0.0)
    segments = tuple(segments_of(values, good, "uniform", width) for width in (3, 8, 20))
    regions, brought = ranked(segments, values, good)

    taken: set[int] = set()
    expected = np.zeros(50)
    for region in regions:
        best, density = None, -np.inf
        for scale, each in enumerate(segments):
            for number in range(each.count):
                new = set(np.flatnonzero(each.of_pixel == number).tolist()) - taken
                mean = np.mean([values[pixel] for pixel in new]) if new else -np.inf
                if mean > density + 1e-12:
                    best, density = (scale, number, new), mean
        assert best is not None
        assert (region.scale, region.segment) == best[:2]
        assert abs(region.density - density) < 1e-12
        expected[list(best[2])] = density
        taken |= best[2]
    assert taken == set(np.flatnonzero(good).tolist())
    np.testing.assert_allclose(brought.sum(axis=0), expected, atol=1e-12)


def test_maps_are_means_and_the_combined_map_falls_with_the_rank() -> None:
    given = subject()
    settings = RankedRegionsSettings("uniform", widths=(4, 16), baselines=3)
    found = RANKED_REGIONS.attribute(given, settings)
    good = given.good.numpy()
    for number in range(PIXELS // 4):
        pixels = np.arange(4 * number, 4 * number + 4)
        assert np.ptp(found.maps[0][pixels[good[pixels]]]) == 0.0
    # Every pixel counts once, so what is shared out is the sum of the integrated gradients.
    fine = RANKED_REGIONS.attribute(given, RankedRegionsSettings("uniform", widths=(1,), baselines=3))
    np.testing.assert_allclose(found.combined.sum(), fine.combined.sum())
    densities = [region.density for region in found.regions]
    assert densities == sorted(densities, reverse=True) or len(found.scales) > 1
    assert found.combined[found.peak_pixel] == max(densities)
