"""Centroids by k-means, and the number of clusters by silhouette."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from engine.clustering.clustering import Partition

MEMBERS_PER_CLUSTER = 5
"""A number of clusters is tried only if that many explanations fall to each on average."""

PARSIMONY = 0.02
"""The smallest number of clusters wins whose silhouette is that close to the best."""

_STARTS = 8
_SILHOUETTE_ROWS = 4000


def fit_centroids(points: NDArray[np.floating], clusters: int, seed: int) -> NDArray[np.float64]:
    """Centroids (K, C) of the best of several seeded k-means starts, by falling number of members."""
    # One thread: partial sums are then added in one order, so the same points give the same bytes.
    with threadpool_limits(limits=1):
        fitted = KMeans(clusters, n_init=_STARTS, random_state=seed).fit(points.astype(np.float64))
    sizes = np.bincount(fitted.labels_, minlength=clusters)
    order = np.lexsort((*fitted.cluster_centers_.T[::-1], -sizes))
    return np.asarray(fitted.cluster_centers_[order], dtype=np.float64)


def nearest_centroid(
    points: NDArray[np.floating], centroids: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Index of the nearest centroid (n,) int32 and the distance to it (n,) float32."""
    exact = points.astype(np.float64)
    square = np.empty((len(points), len(centroids)))
    for k, centroid in enumerate(centroids):
        square[:, k] = np.square(exact - centroid).sum(axis=1)
    labels = square.argmin(axis=1)
    distance = np.sqrt(square[np.arange(len(points)), labels])
    return labels.astype(np.int32), distance.astype(np.float32)


def largest_number_of_clusters(points: NDArray[np.floating], maximum: int) -> int:
    """The most clusters that these points can be asked for; 1 where two make no sense."""
    distinct = len(np.unique(points, axis=0))
    return max(1, min(maximum, len(points) // MEMBERS_PER_CLUSTER, distinct - 1))


def choose_partition(
    points: NDArray[np.floating], clusters: int | None, maximum: int, seed: int
) -> Partition:
    """Centroids for ``clusters``, or for a number from 2 to ``maximum`` chosen by silhouette.

    The smallest number within :data:`PARSIMONY` of the best silhouette is chosen: past the true
    number the silhouette hardly falls, as k-means splits off a few stragglers at a time. Too few or
    too equal points give fewer clusters than asked for, down to one.

    Parameters
    ----------
    points : (n, C), n at least 1.
    """
    most = largest_number_of_clusters(points, clusters or maximum)
    if most < 2:
        return Partition(points.astype(np.float64).mean(axis=0, keepdims=True), ())
    numbers = [most] if clusters else range(2, most + 1)
    tried = {number: fit_centroids(points, number, seed) for number in numbers}
    silhouettes = {number: _silhouette(points, centroids, seed) for number, centroids in tried.items()}
    close = max(silhouettes.values()) - PARSIMONY
    chosen = min(number for number, value in silhouettes.items() if value >= close)
    return Partition(tried[chosen], tuple(sorted(silhouettes.items())))


def _silhouette(points: NDArray[np.floating], centroids: NDArray[np.float64], seed: int) -> float:
    if len(points) > _SILHOUETTE_ROWS:
        pick = np.random.default_rng(seed).choice(len(points), _SILHOUETTE_ROWS, replace=False)
        points = points[np.sort(pick)]
    labels, _ = nearest_centroid(points, centroids)
    if not 2 <= len(np.unique(labels)) < len(points):
        return -1.0
    with threadpool_limits(limits=1):
        return float(silhouette_score(points, labels))
