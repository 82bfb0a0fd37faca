"""Windows some pixels apart: narrow ones as in a run, each pixel spoken for by a window that holds it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation.sparse_windows import sparse_scales
from engine.occlusion.windows import centred_scales

WIDTHS, PIXELS = (1, 4, 16, 64, 256), 1003


def test_a_step_of_one_is_a_run() -> None:
    for sparse, whole in zip(sparse_scales(WIDTHS, PIXELS, 1), centred_scales(WIDTHS, PIXELS), strict=True):
        for name in ("start", "stop", "of_pixel"):
            np.testing.assert_array_equal(getattr(sparse, name), getattr(whole, name))


@pytest.mark.parametrize("step", [2, 16, 50])
def test_every_pixel_is_in_the_window_nearest_to_it(step: int) -> None:
    pixel = np.arange(PIXELS)
    for scale in sparse_scales(WIDTHS, PIXELS, step):
        start, stop = scale.start[scale.of_pixel], scale.stop[scale.of_pixel]
        assert ((start <= pixel) & (pixel < stop)).all()
        apart = min(max(scale.window // 8, 1), step)
        inner = (pixel > scale.window) & (pixel < PIXELS - scale.window - step)
        assert np.abs(pixel - start - scale.window // 2)[inner].max() <= apart // 2
        assert len(scale) == -(-PIXELS // apart)
