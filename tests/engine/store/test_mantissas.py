"""Mantissas of maps: shortened within the stated error."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.store.mantissas import round_mantissas

FLOATS = arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32))
NORMAL_MIN = float(np.finfo(np.float32).tiny)


@given(FLOATS, st.integers(1, 23))
def test_error_is_within_half_a_step_of_the_kept_mantissa(values, keep_bits):
    rounded = round_mantissas(values, keep_bits)
    finite = np.isfinite(values)
    exact = values[finite].astype(np.float64)
    error = np.abs(rounded[finite].astype(np.float64) - exact)
    # A number that would round to infinity is cut instead: a whole step for the largest few.
    step = np.where(
        np.abs(exact) > 2.0**127 * (2 - 2.0**-keep_bits), 2.0**-keep_bits, 2.0 ** -(keep_bits + 1)
    )
    assert (error <= step * np.maximum(np.abs(exact), NORMAL_MIN)).all()


@given(FLOATS, st.integers(0, 23))
def test_special_values_stay_and_finite_ones_stay_finite(values, keep_bits):
    rounded = round_mantissas(values, keep_bits)
    special = ~np.isfinite(values)
    np.testing.assert_array_equal(rounded[special], values[special])
    assert np.isfinite(rounded[~special]).all()
    assert (np.signbit(rounded) == np.signbit(values)).all()


@given(FLOATS, st.integers(1, 22))
def test_dropped_bits_are_zero_and_rounding_again_changes_nothing(values, keep_bits):
    rounded = round_mantissas(values, keep_bits)
    finite = np.isfinite(values)
    assert not (rounded[finite].view(np.uint32) & np.uint32((1 << (23 - keep_bits)) - 1)).any()
    np.testing.assert_array_equal(
        round_mantissas(rounded, keep_bits).view(np.uint32), rounded.view(np.uint32)
    )


def test_ties_go_to_the_even_neighbour():
    values = np.array([1 + 2.0**-11, 1 + 3 * 2.0**-11, -(1 + 2.0**-11)], np.float32)
    expected = np.array([1.0, 1 + 2 * 2.0**-10, -1.0], np.float32)
    np.testing.assert_array_equal(round_mantissas(values, 10), expected)
