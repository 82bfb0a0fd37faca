"""Segmentation: a spectrum cut into intervals, which methods switch off one by one or together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.attribution.segments.smoothing import bridged, smooth

Segmentation = Literal["uniform", "clustered"]

COMPACTNESS = 0.01
"""Step of the smoothed flux, in units of its range, that weighs as much as a segment's width."""
_ROUNDS = 10
_SHORTEST = 0.5
"""Clusters shorter than this part of the width join the one before."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Segments:
    """Intervals of a spectrum of N pixels, from the blue end to the red; each has a good pixel.

    Attributes
    ----------
    of_pixel : (N,) int64, number of the segment that each pixel is in; -1 of masked pixels.
    count : number K of segments.
    """

    of_pixel: NDArray[np.int64]
    count: int

    def on_pixels(self, values: Floats) -> Floats:
        """Values of segments (..., K) on their pixels, (..., N); 0 on masked pixels."""
        if not self.count:
            return np.zeros((*values.shape[:-1], len(self.of_pixel)))
        return np.where(self.of_pixel >= 0, values[..., np.maximum(self.of_pixel, 0)], 0.0)

    def sums(self, map_: Floats) -> Floats:
        """Sums (K,) of a map (N,) over the good pixels of each segment."""
        good = self.of_pixel >= 0
        return np.bincount(self.of_pixel[good], map_[good], minlength=self.count)


def segments_of(
    flux: NDArray[np.floating], good: NDArray[np.bool_], segmentation: Segmentation, width: int
) -> Segments:
    """The segments of a spectrum.

    ``uniform`` : so many pixels each, and what is left at the red end. With the width N // n these are the
    segments of Ortiz Manrique & Boquien, arXiv 2510.05235 (github.com/ed-ortizm/xai-astronomy), for n.

    ``clustered`` : intervals of like flux, about as many: see :func:`_clusters`.

    Parameters
    ----------
    flux : (N,); masked pixels may hold anything.
    good : (N,) bool.
    width : in pixels, of each segment or on average.
    """
    pixel = np.arange(len(flux))
    label = pixel // width if segmentation == "uniform" else _clusters(flux, good, width)
    found, renumbered = np.unique(label[good], return_inverse=True)
    of_pixel = np.full(len(flux), -1, dtype=np.int64)
    of_pixel[good] = renumbered
    return Segments(of_pixel, len(found))


def most_segments(pixels: int, segmentation: Segmentation, width: int) -> int:
    """The most segments that so many pixels can be cut into."""
    return -(-pixels // width) if segmentation == "uniform" else max(pixels // _shortest(width), 1)


def _clusters(flux: NDArray[np.floating], good: NDArray[np.bool_], width: int) -> NDArray[np.int64]:
    """Number of the interval of each pixel, (N,), by k-means of position and smoothed flux.

    In the way of SLIC (Achanta et al. 2012, doi 10.1109/TPAMI.2012.120), whose image version the published
    code calls with the same smoothing and compactness: centres start even, take pixels at most one width
    away, move to the mean of what they took. Clusters are cut where they are interrupted; short pieces join
    the one before.
    """
    height = smooth(bridged(flux, good))
    reach = float(np.ptp(height)) * COMPACTNESS
    scaled = height / reach if reach > 0.0 else np.zeros_like(height)
    place = np.arange(len(flux)) / width
    count = most_segments(len(flux), "uniform", width)
    at = (np.arange(count) + 0.5) * (len(flux) / (count * width))
    level = np.interp(at, place, scaled)
    label = np.minimum(np.arange(len(flux)) * count // len(flux), count - 1)
    for _ in range(_ROUNDS):
        label = _nearest(place, scaled, at, level, label)
        number = np.bincount(label, minlength=count)
        taken = number > 0
        at[taken] = np.bincount(label, place, minlength=count)[taken] / number[taken]
        level[taken] = np.bincount(label, scaled, minlength=count)[taken] / number[taken]
    return _joined(label, _shortest(width))


def _shortest(width: int) -> int:
    return max(int(_SHORTEST * width), 1)


def _nearest(
    place: Floats, height: Floats, at: Floats, level: Floats, before: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The nearest centre within one width of each pixel, (N,); where there is none, the one of ``before``."""
    best, label = np.full(len(place), np.inf), before.copy()
    for number in range(len(at)):
        low, high = np.searchsorted(place, (at[number] - 1.0, at[number] + 1.0))
        some = slice(int(low), int(high))
        away = (place[some] - at[number]) ** 2 + (height[some] - level[number]) ** 2
        nearer = away < best[some]
        best[some][nearer] = away[nearer]
        label[some][nearer] = number
    return label


def _joined(label: NDArray[np.int64], shortest: int) -> NDArray[np.int64]:
    """Runs of equal labels, numbered; a run shorter than ``shortest`` joins the one before it, or after."""
    starts = np.flatnonzero(np.diff(label, prepend=label[0] - 1))
    kept = [0]
    for start, stop in zip(starts, [*starts[1:], len(label)], strict=True):
        if start and stop - start >= shortest:
            kept.append(int(start))
    if len(kept) > 1 and kept[1] < shortest:
        del kept[1]
    return np.searchsorted(np.array(kept), np.arange(len(label)), side="right") - 1
