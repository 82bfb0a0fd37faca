"""Stability of clusters: how far they survive when the explanations are drawn again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from engine.clustering.kmeans import fit_centroids, nearest_centroid

_ROWS = 5000


@dataclass(frozen=True)
class Stability:
    """Agreement between clusters and those of bootstrap resamples; NaN for a single cluster.

    Attributes
    ----------
    adjusted_rand : mean adjusted Rand index (Hubert & Arabie 1985): 1 for the same partition,
        0 for chance.
    jaccard : one per cluster, mean over resamples of the best Jaccard overlap with a cluster of the
        resample. Hennig (2007) calls clusters below 0.6 not to be trusted, above 0.85 very stable.
    """

    adjusted_rand: float
    jaccard: tuple[float, ...]


def stability(
    points: NDArray[np.floating], centroids: NDArray[np.float64], resamples: int, seed: int
) -> Stability:
    """Stability of the partition of ``points`` (n, C) by ``centroids`` (K, C).

    Every resample draws n points with replacement, fits K centroids to them and assigns the
    original points to these. At most 5000 points are used, drawn with the same seed.
    """
    clusters = len(centroids)
    if clusters < 2:
        return Stability(float("nan"), (float("nan"),) * clusters)
    generator = np.random.default_rng(seed)
    if len(points) > _ROWS:
        points = points[np.sort(generator.choice(len(points), _ROWS, replace=False))]
    labels, _ = nearest_centroid(points, centroids)
    agreement = np.empty(resamples)
    overlap = np.empty((resamples, clusters))
    for turn in range(resamples):
        drawn = points[generator.integers(len(points), size=len(points))]
        number = min(clusters, len(np.unique(drawn, axis=0)))
        again, _ = nearest_centroid(points, fit_centroids(drawn, number, seed + turn + 1))
        agreement[turn] = adjusted_rand_score(labels, again)
        overlap[turn] = best_jaccard(labels, again, clusters)
    return Stability(float(agreement.mean()), tuple(float(value) for value in overlap.mean(axis=0)))


def best_jaccard(
    labels: NDArray[np.integer], again: NDArray[np.integer], clusters: int
) -> NDArray[np.float64]:
    """Best Jaccard overlap of every cluster of ``labels`` with any of ``again``, shape (clusters,)."""
    present = np.unique(labels)
    both = contingency_matrix(labels, again)
    either = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    best = np.zeros(clusters)
    best[present] = (both / either).max(axis=1)
    return best
