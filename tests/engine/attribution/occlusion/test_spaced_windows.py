"""Windows some pixels apart: narrow ones at every pixel, each pixel spoken for by a window that holds it."""

from __future__ import annotations

import numpy as np

from engine.attribution.occlusion.windows import dense_scales, sparse_scales

WIDTHS, PIXELS = (1, 4, 8, 16, 64, 256), 1003


def test_narrow_windows_are_at_every_pixel() -> None:
    for some, whole in zip(sparse_scales(WIDTHS, PIXELS)[:3], dense_scales(WIDTHS, PIXELS), strict=False):
        for name in ("start", "stop", "of_pixel"):
            np.testing.assert_array_equal(getattr(some, name), getattr(whole, name))


def test_every_pixel_is_in_the_window_nearest_to_it() -> None:
    pixel = np.arange(PIXELS)
    for scale in sparse_scales(WIDTHS, PIXELS):
        start, stop = scale.start[scale.of_pixel], scale.stop[scale.of_pixel]
        assert ((start <= pixel) & (pixel < stop)).all()
        apart = {16: 2, 64: 8, 256: 16}.get(scale.window, 1)
        inner = (pixel > scale.window) & (pixel < PIXELS - scale.window - apart)
        assert np.abs(pixel - start - scale.window // 2)[inner].max() <= apart // 2
        assert len(scale) == -(-PIXELS // apart)
