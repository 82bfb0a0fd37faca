"""Pipeline from lazy explanations to a clustering."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.clustering.clustering import (
    STABLE_JACCARD,
    UNCLUSTERED,
    Clustering,
    ClusterMeans,
    ClusterSummary,
    Partition,
)
from engine.clustering.kmeans import MEMBERS_PER_CLUSTER, choose_partition
from engine.clustering.lazy_explanations import (
    LazyExplanations,
    coordinates_of,
    labels_of,
    principal_axes_of,
)
from engine.clustering.peaks import attribution_peaks
from engine.clustering.principal import PrincipalAxes
from engine.clustering.rest_frame import RestGrid
from engine.clustering.settings import ClusteringSettings
from engine.clustering.stability import Stability, stability

Progress = Callable[[str, int, int], None]
"""Called with the step that begins, its number from 0, and the number of steps."""

MEAN_STEP = 0.0005
"""Width of a mean map's bin in ln(rest wavelength): 150 km/s."""

_STEPS = ("principal axes", "coordinates", "number of clusters", "stability", "mean spectra")
_EXAMPLES = 12
_COMMON = 0.3


def cluster_explanations(
    explanations: LazyExplanations, settings: ClusteringSettings, progress: Progress | None = None
) -> Clustering:
    """Cluster explanations by the shape of their positive attribution in the rest frame, and by their traits.

    Features (:mod:`engine.clustering.features`) are reduced by exact principal components in which
    unobserved bins have no weight. Traits stand beside these. Centroids are fitted by k-means to at most
    ``settings.sample`` rows drawn with the seed; every row then goes to its nearest centroid. Labels do
    not depend on how the arrays are chunked.
    """

    def begin(step: int) -> None:
        if progress is not None:
            progress(_STEPS[step] if step < len(_STEPS) else "done", step, len(_STEPS))

    if not np.isfinite(explanations.redshift).any():
        return _nothing(explanations, settings)
    rest = explanations.rest_grid(settings.rest_step)
    features = explanations.features(rest)
    begin(0)
    principal = principal_axes_of(features, settings.components)
    begin(1)
    coordinates = np.concatenate((coordinates_of(features, principal), explanations.traits), axis=1)
    shaped = np.flatnonzero(np.isfinite(coordinates).all(axis=1))
    if len(shaped) == 0:
        return _nothing(explanations, settings)
    points = coordinates[_sample(shaped, settings)]
    begin(2)
    partition = choose_partition(points, settings.clusters, settings.maximum, settings.seed)
    begin(3)
    survival = stability(points, partition.centroids, settings.resamples, settings.seed)
    labels, distance = labels_of(coordinates, partition.centroids)
    begin(4)
    means = explanations.cluster_means(labels, partition.clusters, explanations.rest_grid(MEAN_STEP))
    begin(5)
    return Clustering(
        settings=settings,
        rest=rest,
        labels=labels,
        distance=distance,
        coordinates=coordinates,
        principal=principal,
        partition=partition,
        adjusted_rand=survival.adjusted_rand,
        means=means,
        clusters=_summaries(labels, distance, means, survival),
        messages=_messages(len(shaped), partition, survival, settings),
    )


def _sample(shaped: NDArray[np.int64], settings: ClusteringSettings) -> NDArray[np.int64]:
    if len(shaped) <= settings.sample:
        return shaped
    drawn = np.random.default_rng(settings.seed).choice(len(shaped), settings.sample, replace=False)
    return shaped[np.sort(drawn)]


def _summaries(
    labels: NDArray[np.int32], distance: NDArray[np.float32], means: ClusterMeans, survival: Stability
) -> tuple[ClusterSummary, ...]:
    summaries = []
    for label, jaccard in enumerate(survival.jaccard):
        members = np.flatnonzero(labels == label)
        closest = members[np.argsort(distance[members], kind="stable")][:_EXAMPLES]
        # A mean over few members is their noise, not the cluster's peak.
        common = means.count[label] >= _COMMON * means.count[label].max(initial=1.0)
        attribution = np.where(common, means.attribution[label], np.nan)
        peaks = attribution_peaks(
            means.rest.wavelength(), attribution, means.flux[label] - means.baseline[label]
        )
        summaries.append(
            ClusterSummary(label, len(members), jaccard, peaks, tuple(int(row) for row in closest))
        )
    return tuple(summaries)


def _messages(
    count: int, partition: Partition, survival: Stability, settings: ClusteringSettings
) -> tuple[str, ...]:
    messages = []
    found = partition.clusters
    if settings.clusters is not None and found < settings.clusters:
        messages.append(
            f"{settings.clusters} clusters were asked for, but {count} explanations allow {found} only: "
            f"each needs {MEMBERS_PER_CLUSTER} members on average, and they must differ."
        )
    elif found == 1 and settings.clusters is None:
        messages.append(
            f"All {count} explanations are in one cluster: two need at least {2 * MEMBERS_PER_CLUSTER} "
            "explanations that differ. More outliers, or more of them explained, may show groups."
        )
    weak = [str(label) for label, value in enumerate(survival.jaccard) if value < STABLE_JACCARD]
    if weak:
        messages.append(
            f"Not stable under resampling (Jaccard below {STABLE_JACCARD}), so not to be read as groups: "
            f"cluster {', '.join(weak)}."
        )
    return tuple(messages)


def _nothing(explanations: LazyExplanations, settings: ClusteringSettings) -> Clustering:
    """The clustering of no explanation at all."""
    rows = len(explanations)
    rest = RestGrid(0, 0, settings.rest_step)
    empty = np.zeros((0, 0))
    return Clustering(
        settings=settings,
        rest=rest,
        labels=np.full(rows, UNCLUSTERED, dtype=np.int32),
        distance=np.full(rows, np.nan, dtype=np.float32),
        coordinates=np.full((rows, 0), np.nan, dtype=np.float32),
        principal=PrincipalAxes(np.zeros(0), empty),
        partition=Partition(empty, ()),
        adjusted_rand=float("nan"),
        means=ClusterMeans(RestGrid(0, 0, MEAN_STEP), empty, empty, empty, empty),
        clusters=(),
        messages=("There are no explanations to cluster.",),
    )
