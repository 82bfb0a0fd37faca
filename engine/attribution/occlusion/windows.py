"""Windows: the pieces of a spectrum that are pasted, and to which pixels their effect belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.attribution.occlusion.settings import OcclusionSettings


@dataclass(frozen=True, eq=False)
class Scale:
    """All windows of one width over a spectrum of N pixels.

    Attributes
    ----------
    window : the nominal width in pixels.
    start, stop : (n,) int64, the half-open pixel ranges [start, stop), clipped to the spectrum.
    of_pixel : (N,) int64, which window speaks for a pixel (is centred on it, or covers it); -1
        where none does.
    """

    window: int
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    of_pixel: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def pasting(self, good: NDArray[np.bool_]) -> Scale:
        """The distinct windows that remain when only ``good`` pixels, shape (N,), are pasted.

        A masked pixel is no evidence: no window speaks for it. Windows that paste the same good pixels
        become one, the bluest of them, so nothing is computed twice or for nothing.
        """
        before = np.concatenate(([0], np.cumsum(good, dtype=np.int64)))
        where = np.flatnonzero(good)
        wanted = self.of_pixel[where]
        # A window that speaks for a good pixel holds that pixel, so it is never empty here.
        rank_first, rank_stop = before[self.start[wanted]], before[self.stop[wanted]]
        key = rank_first * (len(where) + 1) + rank_stop
        _, chosen, inverse = np.unique(key, return_index=True, return_inverse=True)
        of_pixel = np.full(len(good), -1, dtype=np.int64)
        of_pixel[where] = inverse
        return Scale(self.window, self.start[wanted][chosen], self.stop[wanted][chosen], of_pixel)

    def on_pixels(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Per-window ``values`` (n,) given to the pixels (N,) they belong to; 0 where to none."""
        return np.append(np.asarray(values, dtype=np.float64), 0.0)[self.of_pixel]


def dense_scales(windows: Sequence[int], pixels: int) -> tuple[Scale, ...]:
    """One window per pixel and width: [i - W//2, i - W//2 + W) clipped to [0, pixels).

    Odd widths are symmetric about their centre i; even ones reach one pixel further to the blue.
    """
    centre = np.arange(pixels, dtype=np.int64)
    scales = []
    for width in windows:
        start = centre - width // 2
        stop = np.minimum(start + width, pixels)
        start = np.maximum(start, 0)
        scales.append(Scale(width, start, stop, centre))
    return tuple(scales)


def sparse_scales(windows: Sequence[int], pixels: int) -> tuple[Scale, ...]:
    """Those of :func:`dense_scales`, wide ones some pixels apart: an eighth of their width, at most 16.

    Neighbouring windows of one width share nearly all their pixels, so their effects are nearly the same.
    Every pixel is spoken for by the window whose centre is nearest.
    """
    return tuple(_every(scale, min(max(scale.window // 8, 1), 16)) for scale in dense_scales(windows, pixels))


def _every(scale: Scale, step: int) -> Scale:
    pixels = len(scale.of_pixel)
    of_pixel = np.arange(pixels, dtype=np.int64) // step
    middle = np.minimum(np.arange(0, pixels, step, dtype=np.int64) + step // 2, pixels - 1)
    return Scale(scale.window, scale.start[middle], scale.stop[middle], of_pixel)


def staggered(windows: Sequence[int]) -> tuple[int, ...]:
    """Offsets of the authors' figure: for widths 1, 4, 16, 64, 256 they are 0, 2, 10, 42, 170.

    Each is half of all widths up to its own. That staggers the scales' centres; with widths a factor of four
    apart every border of a wide scale is also one of all narrower ones.
    """
    return tuple(accumulate(width // 2 for width in windows))


def tiled_scales(windows: Sequence[int], offsets: Sequence[int], pixels: int) -> tuple[Scale, ...]:
    """Windows of each width side by side, as the authors' published code lays them.

    Those of width W begin at its offset modulo W. What lies before the offset is a window of its own,
    and the last window is clipped; a width beyond the spectrum leaves one or two windows.
    """
    scales = []
    for width, offset in zip(windows, offsets, strict=True):
        edges = np.unique(np.concatenate(([0], np.arange(offset % width, pixels, width), [pixels])))
        start, stop = edges[:-1].astype(np.int64), edges[1:].astype(np.int64)
        scales.append(Scale(width, start, stop, np.repeat(np.arange(len(start)), stop - start)))
    return tuple(scales)


def scales_of(settings: OcclusionSettings, pixels: int) -> tuple[Scale, ...]:
    """The windows that ``settings`` lay over a spectrum, one :class:`Scale` for each width."""
    if settings.spacing == "tiled":
        offsets = settings.offsets or staggered(settings.windows)
        return tiled_scales(settings.windows, offsets, pixels)
    lay = dense_scales if settings.spacing == "dense" else sparse_scales
    return lay(settings.windows, pixels)
