"""A finished clustering of explanations: arrays, and a summary of each cluster."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from engine.clustering.principal import PrincipalAxes
from engine.clustering.rest_frame import RestGrid
from engine.clustering.settings import ClusteringSettings

UNCLUSTERED = -1
"""Label of outlier rows without a cluster: padding, superseded, nothing odd in an observed bin."""

FloatOrNone = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A number that may be NaN: null in JSON."""


@dataclass(frozen=True, slots=True)
class Peak:
    """One peak of a cluster's mean attribution.

    Attributes
    ----------
    wavelength : rest Angstrom.
    height : attribution there, as a share of the highest peak's.
    line : name of the coinciding line; empty if none.
    flux : whether the mean spectrum there lies above (``"excess"``) or below (``"deficit"``) the
        mean baseline.
    """

    wavelength: float
    height: float
    line: str
    flux: Literal["excess", "deficit"]


@dataclass(frozen=True)
class Partition:
    """Centroids and how well they separate the points that they were fitted on.

    Attributes
    ----------
    centroids : (K, C) float64, by falling number of members.
    silhouettes : (k, mean silhouette) of every k that was tried, ascending; empty for one cluster.
    """

    centroids: NDArray[np.float64]
    silhouettes: tuple[tuple[int, float], ...]

    @property
    def clusters(self) -> int:
        """Number of clusters."""
        return len(self.centroids)


STABLE_JACCARD = 0.6
"""Clusters below are not to be trusted (Hennig 2007, Comput. Stat. Data Anal. 52, 258)."""


@dataclass(frozen=True)
class ClusterSummary:
    """One cluster. Clusters are numbered by falling size.

    Attributes
    ----------
    label : its number.
    size : members.
    jaccard : stability over bootstrap resamples, 0 to 1; NaN where there is one cluster only.
    peaks : of its mean attribution, highest first.
    examples : outlier rows closest to its centroid, closest first.
    title : what most members have in common, see :meth:`engine.clustering.traits.Traits.title`.
    """

    label: int
    size: int
    jaccard: FloatOrNone
    peaks: tuple[Peak, ...]
    examples: tuple[int, ...]
    title: str = ""

    @property
    def stable(self) -> bool:
        """Whether the cluster survives resampling; a single cluster has nothing to be confused with."""
        return not self.jaccard < STABLE_JACCARD


@dataclass(frozen=True)
class ClusterMeans:
    """Means over the members of K clusters on F rest-frame bins; NaN where no member was observed.

    Attributes
    ----------
    rest : the bins.
    count : (K, F) members that were observed in the bin.
    flux : (K, F) flux as scored.
    baseline : (K, F) baseline of the same pixels.
    attribution : (K, F) combined attribution, each member's divided by its largest modulus, so that
        all members count alike, as they do when they are clustered.
    """

    rest: RestGrid
    count: NDArray[np.float64]
    flux: NDArray[np.float64]
    baseline: NDArray[np.float64]
    attribution: NDArray[np.float64]


@dataclass(frozen=True)
class Clustering:
    """Labels of n outlier rows, what they were found from, and their clusters.

    Attributes
    ----------
    settings : as asked for.
    rest : B feature bins.
    labels : (n,) int32, cluster number or ``UNCLUSTERED``.
    distance : (n,) float32 to the centroid; NaN where unclustered.
    coordinates : (n, C + F) float32: along the principal axes, then traits; NaN where unclustered.
    principal : mean and axes that lead from features to the first C coordinates.
    partition : centroids and the silhouettes by which their number was chosen.
    adjusted_rand : mean over bootstrap resamples; NaN for one cluster.
    means : mean maps.
    clusters : one per cluster.
    messages : what a reader should know, e.g. that there are too few explanations for two clusters.
    """

    settings: ClusteringSettings
    rest: RestGrid
    labels: NDArray[np.int32]
    distance: NDArray[np.float32]
    coordinates: NDArray[np.float32]
    principal: PrincipalAxes
    partition: Partition
    adjusted_rand: float
    means: ClusterMeans
    clusters: tuple[ClusterSummary, ...]
    messages: tuple[str, ...]
