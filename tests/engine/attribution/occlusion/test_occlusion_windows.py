"""Windows: where they lie, and what remains of them when pixels are masked."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.attribution.occlusion.settings import OcclusionSettings, Spacing
from engine.attribution.occlusion.windows import Scale, dense_scales, scales_of, staggered, tiled_scales


def laid(spacing: Spacing, windows: tuple[int, ...], pixels: int) -> tuple[Scale, ...]:
    return scales_of(OcclusionSettings(spacing=spacing, windows=windows), pixels)


def ranges(scale: Scale) -> list[tuple[int, int]]:
    return list(zip(scale.start.tolist(), scale.stop.tolist(), strict=True))


def test_even_windows_reach_further_to_the_blue_and_are_clipped() -> None:
    one, three, four = dense_scales((1, 3, 4), 5)
    assert ranges(one) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    assert ranges(three) == [(0, 2), (0, 3), (1, 4), (2, 5), (3, 5)]
    assert ranges(four) == [(0, 2), (0, 3), (0, 4), (1, 5), (2, 5)]


def test_tiles_have_the_published_offsets() -> None:
    windows = (1, 4, 16, 64, 256)
    scales = laid("tiled", windows, 7781)
    assert staggered(windows) == (0, 2, 10, 42, 170)
    assert [int(scale.start[1]) % scale.window for scale in scales] == [0, 2, 10, 42, 170]
    assert [len(scale) for scale in scales] == [7781, 1946, 487, 122, 31]
    assert ranges(scales[1])[:2] == [(0, 2), (2, 6)]
    assert ranges(scales[4])[-1] == (170 + 29 * 256, 7781)


def test_tiles_wider_than_the_spectrum() -> None:
    assert [ranges(scale) for scale in laid("tiled", (2, 8, 100), 7)] == [
        [(0, 1), (1, 3), (3, 5), (5, 7)],
        [(0, 5), (5, 7)],
        [(0, 7)],
    ]


def test_tiles_begin_at_the_offsets_that_are_given() -> None:
    """The authors' function has none by default: every width's tiles begin at the first pixel."""
    settings = OcclusionSettings(spacing="tiled", windows=(4, 8), offsets=(0, 0))
    assert [ranges(scale) for scale in scales_of(settings, 18)] == [
        [(0, 4), (4, 8), (8, 12), (12, 16), (16, 18)],
        [(0, 8), (8, 16), (16, 18)],
    ]
    assert ranges(tiled_scales((8,), (11,), 18)[0]) == [(0, 3), (3, 11), (11, 18)]


@given(
    st.sampled_from(get_args(Spacing)),
    st.lists(st.integers(1, 60), min_size=1, max_size=4, unique=True),
    st.lists(st.booleans(), min_size=1, max_size=40),
)
def test_pasting_keeps_every_pixels_pasted_set_and_repeats_none(
    spacing: Spacing, widths: list[int], mask: list[bool]
) -> None:
    good = np.array(mask)
    for whole in laid(spacing, tuple(sorted(widths)), len(good)):
        scale = whole.pasting(good)
        assert (scale.of_pixel[~good] == -1).all()
        assert len(set(ranges(scale))) == len(scale) == len(set(scale.of_pixel[good].tolist()))
        for pixel in np.flatnonzero(good):
            before = slice(whole.start[whole.of_pixel[pixel]], whole.stop[whole.of_pixel[pixel]])
            window = scale.of_pixel[pixel]
            after = slice(scale.start[window], scale.stop[window])
            pasted = np.flatnonzero(good[before]) + before.start
            assert np.array_equal(pasted, np.flatnonzero(good[after]) + after.start)
            assert pixel in pasted
            # It is one of the windows that were there before, neither narrowed nor widened.
            assert (after.start, after.stop) in ranges(whole)


@pytest.mark.parametrize("spacing", get_args(Spacing))
def test_windows_over_everything_are_one_window(spacing: Spacing) -> None:
    scale = laid(spacing, (200,), 90)[0].pasting(np.ones(90, dtype=bool))
    assert ranges(scale) == [(0, 90)]


def test_values_reach_their_pixels_and_masked_ones_get_zero() -> None:
    scale = laid("tiled", (4,), 8)[0].pasting(np.array([0, 1, 1, 0, 1, 1, 0, 0], dtype=bool))
    assert ranges(scale) == [(0, 2), (2, 6)]
    assert scale.on_pixels(np.array([5.0, 7.0])).tolist() == [0, 5, 7, 0, 7, 7, 0, 0]
