"""The residual scan against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation.residual_scan import SCAN_WIDTHS, residual_scan


def test_the_scan_is_the_largest_significance_of_any_stretch() -> None:
    random = np.random.default_rng(0)
    residual = random.normal(size=(2, 300)).astype(np.float32)
    ivar = random.uniform(0.1, 4.0, (2, 300)).astype(np.float32)
    ivar[0, 40:60] = 0
    residual[0, 50] = 1e6  # at a masked pixel
    found = residual_scan(residual, ivar)
    for row in range(2):
        for column, width in enumerate(SCAN_WIDTHS):
            best = 0.0
            for first in range(300 - min(width, 300) + 1):
                part = slice(first, first + min(width, 300))
                r, w = residual[row, part].astype(float), ivar[row, part].astype(float)
                if w.sum() > 0:
                    best = max(best, abs((r * w).sum()) / np.sqrt(w.sum()))
            assert found[row, column] == pytest.approx(best, rel=1e-4)


def test_the_width_of_an_excess_is_the_one_that_responds() -> None:
    residual = np.zeros((1, 2000), dtype=np.float32)
    residual[0, 700:764] = 1.0
    found = residual_scan(residual, np.full((1, 2000), 0.25, dtype=np.float32))[0]
    assert SCAN_WIDTHS[int(found.argmax())] == 64
    assert found.max() == pytest.approx(np.sqrt(64 * 0.25))
