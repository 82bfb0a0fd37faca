"""The sky's lines are in one order, and what the report names is where the lines are."""

from __future__ import annotations

import numpy as np

from models.sky_lines import SKY_LINES, SKY_RANGES, near_bright_sky_line

LINES = np.array([wavelength for wavelength, _ in SKY_LINES])


def test_lines_and_ranges_ascend() -> None:
    assert (np.diff(LINES) > 0).all()
    edges = [edge for _, first, last in SKY_RANGES for edge in (first, last)]
    assert edges == sorted(edges)


def test_each_named_line_is_in_the_middle_of_its_range() -> None:
    named = {"Hg I": [4359.5], "[O I]": [5578.9, 6302.0], "Na I": [5891.6, 5897.6]}
    for name, first, last in SKY_RANGES:
        if name.endswith(" sky"):
            inside = LINES[(first <= LINES) & (last >= LINES)]
            assert set(inside) <= set(named[name.removesuffix(" sky")])
            assert abs(inside.mean() - (first + last) / 2) < 1


def test_only_what_is_within_reach_of_a_bright_line_lies_on_it() -> None:
    bright = 5578.9
    places = np.array([bright - 3.1, bright - 2.9, bright, bright + 2.9, bright + 3.1, 4359.5])
    assert near_bright_sky_line(places).tolist() == [False, True, True, True, False, False]
