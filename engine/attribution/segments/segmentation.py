"""Segmentation: a spectrum cut into intervals, which methods switch off one by one or together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.attribution.segments.smoothing import bridged, smooth

Segmentation = Literal["uniform", "clustered"]

COMPACTNESS = 0.1
"""Step of the smoothed flux, in units of its range, that parts pixels as much as a segment's width does."""

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
        return np.bincount(self.of_pixel[good], map_[good], minlength=self.count).astype(np.float64)


def segments_of(
    flux: NDArray[np.floating], good: NDArray[np.bool_], segmentation: Segmentation, width: int
) -> Segments:
    """The segments of a spectrum.

    ``uniform`` : so many pixels each, and what is left at the red end. With the width N // n these are the
    segments of Ortiz Manrique & Boquien, arXiv 2510.05235 (github.com/ed-ortizm/xai-astronomy), for n.

    ``clustered`` : intervals of like flux, as many: see :func:`_clusters`.

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


def most_segments(pixels: int, width: int) -> int:
    """The segments that so many pixels are cut into, some of which may be masked all over."""
    return -(-pixels // width)


def _clusters(flux: NDArray[np.floating], good: NDArray[np.bool_], width: int) -> NDArray[np.int64]:
    """Number of the interval of each pixel, (N,): Ward's clusters of position and smoothed flux, of
    neighbours only.

    The published code calls SLIC, k-means of position and flux in images (Achanta et al. 2012, doi
    10.1109/TPAMI.2012.120). In a noisy spectrum its clusters interlace, and what is left when they have been
    made whole are fewer and longer intervals than were asked for. Ward's are intervals from the start, and as
    many as asked for.
    """
    # Imported here: who opens a store knows segments, and needs no scikit-learn.
    from scipy.sparse import diags_array
    from sklearn.cluster import AgglomerativeClustering

    pixels = len(flux)
    count = most_segments(pixels, width)
    if count == 1:
        return np.zeros(pixels, dtype=np.int64)
    height = smooth(bridged(flux, good))
    step = float(np.ptp(height)) * COMPACTNESS
    scaled = height / step if step > 0.0 else np.zeros(pixels)
    chain = diags_array([np.ones(pixels - 1)] * 2, offsets=(-1, 1), shape=(pixels, pixels))
    ward = AgglomerativeClustering(count, connectivity=chain.tocsr())
    label = ward.fit_predict(np.stack([scaled, np.arange(pixels) / width], axis=1))
    return np.cumsum(np.diff(label, prepend=label[0]) != 0)
