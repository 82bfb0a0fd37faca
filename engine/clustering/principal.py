"""Exact principal components from sums over chunks, where every row has bins of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PrincipalAxes:
    """Mean and leading axes.

    Attributes
    ----------
    mean : (B,) float64, mean of each bin over the rows that observe it.
    axes : (C, B) float64, orthonormal, by falling variance; the largest entry of each is positive.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]


def bin_sums(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Count and sum of the observed values per bin, shape (2, B); add over chunks."""
    observed = np.isfinite(features)
    total = np.where(observed, features, 0.0).sum(axis=0, dtype=np.float64)
    return np.stack([observed.sum(axis=0, dtype=np.float64), total])


def bin_means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean per bin (B,) from the added :func:`bin_sums`; 0 where no row observes the bin."""
    return np.asarray(sums[1] / np.maximum(sums[0], 1.0))


def gram(features: NDArray[np.floating], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gram matrix (B, B) of the centred rows; add over chunks."""
    centred = _centred(features, mean)
    return np.asarray(centred.T @ centred)


def principal_axes(
    total_gram: NDArray[np.float64], mean: NDArray[np.float64], components: int
) -> PrincipalAxes:
    """The leading ``components`` axes of the added :func:`gram` matrices (fewer where B is less)."""
    variance, vectors = np.linalg.eigh(total_gram)
    order = np.argsort(variance)[::-1][:components]
    axes = vectors[:, order].T
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], 1)
    axes = axes * np.where(largest < 0.0, -1.0, 1.0)
    return PrincipalAxes(mean, axes)


def project(features: NDArray[np.floating], principal: PrincipalAxes) -> NDArray[np.float32]:
    """Coordinates (n, C) float32 of rows along the axes."""
    return np.asarray(_centred(features, principal.mean) @ principal.axes.T, dtype=np.float32)


def _centred(features: NDArray[np.floating], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    # An unobserved bin takes the mean: it moves a row in no direction, so it carries no weight.
    return np.where(np.isfinite(features), features - mean, 0.0).astype(np.float64)
