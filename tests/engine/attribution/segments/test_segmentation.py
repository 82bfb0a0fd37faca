"""Segmentation: intervals, masks, and clusters that follow the flux."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.attribution.segments.segmentation import Segmentation, most_segments, segments_of


def test_uniform_segments_are_the_published_ones() -> None:
    # 3,773 pixels in 150 segments, as published: 150 of 3773 // 150 = 25 and what is left.
    segments = segments_of(np.zeros(3773), np.ones(3773, dtype=bool), "uniform", 25)
    widths = np.bincount(segments.of_pixel)
    assert segments.count == 151
    assert widths.tolist() == [25] * 150 + [23]


@pytest.mark.parametrize("segmentation", ["uniform", "clustered"])
@given(
    pixels=st.integers(1, 300),
    width=st.integers(1, 40),
    masked=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_segments_are_intervals_of_good_pixels(
    segmentation: Segmentation, pixels: int, width: int, masked: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    flux, good = random.normal(size=pixels), random.random(pixels) >= masked
    segments = segments_of(np.where(good, flux, np.nan), good, segmentation, width)
    inside = segments.of_pixel[good]
    assert (segments.of_pixel[~good] == -1).all()
    assert set(inside.tolist()) == set(range(segments.count))
    assert (np.diff(inside) >= 0).all()
    assert segments.count <= most_segments(pixels, width)


def test_clusters_end_where_the_flux_changes() -> None:
    flux = np.where(np.arange(400) < 170, 1.0, 2.0)
    segments = segments_of(flux, np.ones(400, dtype=bool), "clustered", 100)
    borders = np.flatnonzero(np.diff(segments.of_pixel)) + 1
    assert np.abs(borders - 170).min() <= 3
    assert segments.count == 4


def test_clusters_of_a_flat_spectrum_are_alike() -> None:
    segments = segments_of(np.full(400, 3.0), np.ones(400, dtype=bool), "clustered", 100)
    widths = np.bincount(segments.of_pixel)
    assert len(widths) == 4
    assert widths.min() > 50


def test_values_go_to_pixels_and_sums_come_back() -> None:
    good = np.array([True, False, True, True, True, False])
    segments = segments_of(np.ones(6), good, "uniform", 2)
    assert segments.of_pixel.tolist() == [0, -1, 1, 1, 2, -1]
    assert segments.on_pixels(np.array([1.0, 2.0, 3.0])).tolist() == [1, 0, 2, 2, 3, 0]
    assert segments.sums(np.arange(6.0)).tolist() == [0, 5, 4]
