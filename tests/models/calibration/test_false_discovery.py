"""The false discovery rate of a selection."""

from __future__ import annotations

import numpy as np
import pytest

from models.calibration.false_discovery import false_discovery_rate


def test_it_is_what_chance_selects_over_what_is_selected() -> None:
    assert false_discovery_rate(0.01, 2000, 64) == pytest.approx(20 / 64)
    assert false_discovery_rate(0.01, 2000, 10) == 1.0
    assert false_discovery_rate(0.01, 2000, 0) is None


def test_it_bounds_the_share_of_usual_spectra_among_the_selected() -> None:
    random = np.random.default_rng(1)
    usual, odd = random.uniform(size=100_000), random.uniform(0, 0.001, size=1000)
    threshold = 0.005
    false, true = int((usual <= threshold).sum()), int((odd <= threshold).sum())
    stated = false_discovery_rate(threshold, len(usual) + len(odd), false + true)
    assert stated is not None
    assert false / (false + true) == pytest.approx(stated, rel=0.1)
