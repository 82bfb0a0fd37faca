"""Labels of lines: none lies over another."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.figures.line_labels import lines_within, spread_apart


@given(st.lists(st.floats(0, 100), max_size=20), st.floats(0.1, 10))
def test_labels_are_apart_in_order_and_inside(positions: list[float], gap: float) -> None:
    ascending = np.sort(positions)
    places = spread_apart(ascending, gap, 0.0, 100.0)
    assert len(places) == len(ascending)
    if len(places) > 1:
        room = 100.0 / (len(places) - 1)
        assert np.diff(places).min() >= min(gap, room) - 1e-9
    assert np.all((places >= -1e-9) & (places <= 100 + 1e-9))


def test_labels_with_room_stay_where_they_are() -> None:
    positions = np.array([10.0, 30.0, 60.0])
    np.testing.assert_allclose(spread_apart(positions, 5.0, 0.0, 100.0), positions)


def test_crowded_labels_spread_about_their_middle() -> None:
    np.testing.assert_allclose(
        spread_apart(np.array([50.0, 50.0, 50.0]), 4.0, 0.0, 100.0), [46.0, 50.0, 54.0]
    )


def test_lines_at_their_observed_wavelength() -> None:
    found = {line.name: observed for line, observed in lines_within(6000.0, 8000.0, 0.2)}
    assert found["[O III] 5008"] == 5008.24 * 1.2
    assert "Hα" in found
    assert "[O II]" not in found
