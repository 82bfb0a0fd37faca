"""Explanations as Dask arrays, and passes over them. Memory: a few chunks, whatever their number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from engine.clustering.clustering import ClusterMeans
from engine.clustering.features import OBSERVED_SHARE, explanation_features, has_shape
from engine.clustering.kmeans import nearest_centroid
from engine.clustering.principal import (
    PrincipalAxes,
    bin_means,
    bin_sums,
    gram,
    principal_axes,
    project,
)
from engine.clustering.rest_frame import RestGrid, rebin
from models.grid import WavelengthGrid

LAZY = ("flux", "ivar", "baseline", "combined")
"""Fields of :class:`engine.attribution.explanation.Explanations` that are clustered."""
_BATCH = 64
_FAN_IN = 8


@dataclass(frozen=True)
class LazyExplanations:
    """What is clustered of n explanations; chunks are loaded as they are needed.

    Attributes
    ----------
    grid : N pixels.
    redshift : (n,) float64; NaN for rows that are not to be clustered.
    flux, ivar, baseline, combined : Dask arrays (n, N) of the fields :data:`LAZY`, chunked alike and along n
        only.
    traits : (n, F), further coordinates of the rows, see :class:`engine.clustering.traits.Traits`.
    """

    grid: WavelengthGrid
    redshift: NDArray[np.float64]
    flux: da.Array
    ivar: da.Array
    baseline: da.Array
    combined: da.Array
    traits: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.redshift)

    def rest_grid(self, step: float) -> RestGrid:
        """Bins of width ``step`` that hold every usable explanation; at least one row must be usable."""
        return RestGrid.covering(
            self.grid, float(np.nanmin(self.redshift)), float(np.nanmax(self.redshift)), step
        )

    def features(self, rest: RestGrid) -> da.Array:
        """Features (n, B), see :func:`engine.clustering.features.explanation_features`."""
        return _map_blocks(
            _features,
            self.combined,
            self.ivar,
            self._column(self.redshift),
            grid=self.grid,
            rest=rest,
            chunks=(self.combined.chunks[0], (rest.size,)),
            meta=np.empty((0, 0), np.float32),
        )

    def cluster_means(self, labels: NDArray[np.int32], clusters: int, rest: RestGrid) -> ClusterMeans:
        """Mean maps of every cluster, in one pass."""
        parts = _map_blocks(
            _cluster_sums,
            self.flux,
            self.ivar,
            self.baseline,
            self.combined,
            self._column(self.redshift),
            self._column(labels),
            grid=self.grid,
            rest=rest,
            clusters=clusters,
            new_axis=2,
            chunks=((1,) * self.flux.numblocks[0], (4 * clusters,), (rest.size,)),
            meta=np.empty((0, 0, 0)),
        )
        sums = _total(parts).reshape(4, clusters, rest.size)
        count = sums[0]
        mean = np.divide(sums[1:], count, out=np.full_like(sums[1:], np.nan), where=count > 0.0)
        return ClusterMeans(rest, count, mean[0], mean[1], mean[2])

    def _column(self, values: NDArray[Any]) -> da.Array:
        return _chunked(values[:, None], self.combined.chunks[0])


def principal_axes_of(features: da.Array, components: int) -> PrincipalAxes:
    """Exact principal axes of (n, B) features, in two passes: means, then the Gram matrix."""
    bins = features.shape[1]
    mean = bin_means(_total(_per_chunk(bin_sums, features, (2, bins))))
    total = _total(_per_chunk(gram, features, (bins, bins), mean=mean))
    return principal_axes(total, mean, components)


def coordinates_of(features: da.Array, principal: PrincipalAxes) -> NDArray[np.float32]:
    """Coordinates (n, C) of all rows; NaN for rows that have no shape to be clustered by."""
    axes = len(principal.axes)
    lazy = _map_blocks(
        _coordinates,
        features,
        principal=principal,
        chunks=(features.chunks[0], (axes,)),
        meta=np.empty((0, 0), np.float32),
    )
    return np.asarray(lazy.compute())  # type: ignore[no-untyped-call]


def _features(
    combined: NDArray[np.float32],
    ivar: NDArray[np.float32],
    redshift: NDArray[np.float64],
    grid: WavelengthGrid,
    rest: RestGrid,
) -> NDArray[np.float32]:
    features = explanation_features(combined, ivar > 0, redshift[:, 0], grid, rest)
    # A row without shape is left out of mean and Gram matrix as well: it has nothing to say there.
    features[~has_shape(features)] = np.nan
    return features


def _coordinates(features: NDArray[np.float32], principal: PrincipalAxes) -> NDArray[np.float32]:
    coordinates = project(features, principal)
    coordinates[~has_shape(features)] = np.nan
    return coordinates


def _cluster_sums(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    baseline: NDArray[np.float32],
    combined: NDArray[np.float32],
    redshift: NDArray[np.float64],
    labels: NDArray[np.int32],
    grid: WavelengthGrid,
    rest: RestGrid,
    clusters: int,
) -> NDArray[np.float64]:
    """Count and sums of flux, baseline and attribution: (1, 4 K, F)."""
    sums = np.zeros((4, clusters, rest.size))
    members = np.flatnonzero(labels[:, 0] >= 0)
    for start in range(0, len(members), _BATCH):
        batch = members[start : start + _BATCH]
        member_of = (labels[batch, 0][None, :] == np.arange(clusters)[:, None]).astype(np.float64)
        good = ivar[batch] > 0
        largest = np.abs(combined[batch]).max(axis=1, keepdims=True)
        scaled = combined[batch] / np.where(largest > 0.0, largest, 1.0)
        for number, values in enumerate((flux[batch], baseline[batch], scaled), start=1):
            mean, coverage = rebin(np.asarray(values), good, redshift[batch, 0], grid, rest)
            observed = coverage >= OBSERVED_SHARE
            sums[number] += member_of @ np.where(observed, mean, 0.0)
            if number == 1:  # the same pixels are good for all three
                sums[0] += member_of @ observed.astype(np.float64)
    return sums.reshape(1, 4 * clusters, rest.size)


def _per_chunk(
    function: Callable[..., NDArray[np.float64]], features: da.Array, shape: tuple[int, int], **arguments: Any
) -> da.Array:
    return _map_blocks(
        _lifted,
        features,
        function=function,
        arguments=arguments,
        new_axis=2,
        chunks=((1,) * features.numblocks[0], (shape[0],), (shape[1],)),
        meta=np.empty((0, 0, 0)),
    )


def _lifted(
    chunk: NDArray[np.float32], function: Callable[..., NDArray[np.float64]], arguments: dict[str, Any]
) -> NDArray[np.float64]:
    return function(chunk, **arguments)[None]


def _total(parts: da.Array) -> NDArray[np.float64]:
    return np.asarray(parts.sum(axis=0, split_every=_FAN_IN).compute())  # type: ignore[no-untyped-call]


# Dask declares itself typed but leaves these two without types.
def _map_blocks(per_chunk: Callable[..., NDArray[Any]], *arrays: da.Array, **options: Any) -> da.Array:
    return da.map_blocks(per_chunk, *arrays, **options)  # type: ignore[no-any-return, no-untyped-call]


def _chunked(values: NDArray[Any], rows: tuple[int, ...]) -> da.Array:
    return da.from_array(values, chunks=(rows, (1,)))  # type: ignore[no-any-return, no-untyped-call]


def labels_of(
    coordinates: NDArray[np.float32], centroids: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Label and distance of every row; -1 and NaN where the coordinates are NaN."""
    labels = np.full(len(coordinates), -1, dtype=np.int32)
    distance = np.full(len(coordinates), np.nan, dtype=np.float32)
    shaped = np.isfinite(coordinates).all(axis=1)
    labels[shaped], distance[shaped] = nearest_centroid(coordinates[shaped], centroids)
    return labels, distance
