"""Peaks of curves are those of SciPy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import find_peaks, peak_widths

from engine.attribution.curve_peaks import CurvePeak, curve_peaks


def scipys(curve: NDArray[np.float64], prominence: float) -> list[CurvePeak]:
    found, known = find_peaks(curve, prominence=prominence)
    bases = (known["prominences"], known["left_bases"], known["right_bases"])
    _, _, left, right = peak_widths(curve, found, rel_height=0.5, prominence_data=bases)
    return [CurvePeak(*each) for each in zip(found.tolist(), left.tolist(), right.tolist(), strict=True)]


# Whole numbers make plateaus and equal heights; the others come as near to each other as floats can.
LEVELS = st.integers(-3, 3).map(float) | st.sampled_from([0.1, 0.3 - 0.2, 1e-17, 1e300]) | st.floats(-2, 2)


@given(st.lists(LEVELS, min_size=1, max_size=40), st.sampled_from([0.0, 0.2, 1.0, 2.5]))
def test_any_peaks(values: list[float], prominence: float) -> None:
    assert curve_peaks(values, prominence) == scipys(np.array(values, dtype=np.float64), prominence)


def test_those_of_a_long_noisy_curve() -> None:
    random = np.random.default_rng(3)
    curve = np.pad(np.abs(np.convolve(random.standard_normal(8000), np.hanning(30))).astype(np.float32), 1)
    found = curve_peaks(curve, 0.2 * float(curve.max()))
    assert len(found) > 50
    assert found == scipys(curve.astype(np.float64), 0.2 * float(curve.max()))
