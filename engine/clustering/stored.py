"""A clustering as a store keeps it: arrays and attributes, written and read back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.clustering.clustering import Clustering, ClusterMeans, ClusterSummary, Peak
from engine.clustering.rest_frame import RestGrid
from engine.store.clusters import ClusterArray, StoredClustering
from engine.store.reading import StoreView
from models.errors import ErrorKind, StoreError


@dataclass(frozen=True)
class ClusteringSummary:
    """What a clustering found, as it is shown to people and kept in the store's attributes.

    Attributes
    ----------
    name : of the clustering.
    explanations : explained outliers in the store, superseded ones left out.
    clustered : those with a cluster.
    clusters : the clusters, largest first; their ``examples`` are outlier rows.
    example_keys : per cluster, the spectrum keys of its examples.
    silhouettes : (number of clusters, mean silhouette) for every number that was tried.
    adjusted_rand : mean adjusted Rand index over resamples; NaN for a single cluster.
    messages : what a reader should know.
    """

    name: str
    explanations: int
    clustered: int
    clusters: tuple[ClusterSummary, ...]
    example_keys: tuple[tuple[str, ...], ...]
    silhouettes: tuple[tuple[int, float], ...]
    adjusted_rand: float
    messages: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, NaN as null; :meth:`from_dict` is its inverse."""
        return dict(_without_nan(asdict(self)))

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> ClusteringSummary:
        """The summary that :meth:`to_dict` described.

        Raises
        ------
        StoreError : a part is missing or of the wrong kind.
        """
        try:
            return cls(
                name=str(description["name"]),
                explanations=int(description["explanations"]),
                clustered=int(description["clustered"]),
                clusters=tuple(_cluster_from(each) for each in description["clusters"]),
                example_keys=tuple(tuple(map(str, keys)) for keys in description["example_keys"]),
                silhouettes=tuple((int(k), float(value)) for k, value in description["silhouettes"]),
                adjusted_rand=_number(description["adjusted_rand"]),
                messages=tuple(map(str, description["messages"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                "The attributes of a clustering are incomplete or damaged.",
                where="clusters/",
                got=f"{type(error).__name__}: {error}",
                remedy="Run 'whyspec cluster' again: it replaces the clustering.",
                kind=ErrorKind.CLUSTERING_ATTRIBUTES,
            ) from error


@dataclass(frozen=True)
class ReadClustering:
    """A clustering as readers use it.

    Attributes
    ----------
    summary : what was found.
    labels : label of every clustered outlier row, indexed by outlier row.
    means : mean maps of the clusters.
    """

    summary: ClusteringSummary
    labels: pd.Series[int]
    means: ClusterMeans


def read_store_clustering(view: StoreView, name: str) -> ReadClustering:
    """The clustering of that name.

    Raises
    ------
    InputError : there is none.
    StoreError : its attributes are damaged.
    """
    stored = view.clustering(name)
    attributes: Mapping[str, Any] = stored.attributes
    summary = ClusteringSummary.from_dict(attributes.get("summary", {}))
    labels = pd.Series(stored["label"], index=pd.Index(stored["outlier"], name="outlier"), name="cluster")
    return ReadClustering(summary, labels, _stored_means(stored, attributes.get("mean_grid", {})))


def clustering_arrays(clustering: Clustering, table: pd.DataFrame) -> list[ClusterArray]:
    """Everything a clustering keeps; ``table`` is the outliers' that was clustered, in its order."""
    means, principal = clustering.means, clustering.principal
    per_outlier, per_cluster = ("outlier",), ("cluster", "rest_wavelength")
    angstrom = {"units": "Angstrom"}
    scaled = "mean of combined attributions, each divided by its largest modulus"
    return [
        ClusterArray("outlier", per_outlier, table.index.to_numpy(np.int64), _said("row in outliers/")),
        ClusterArray("row", per_outlier, table["row"].to_numpy(np.int64), _said("row in spectra/")),
        ClusterArray("label", per_outlier, clustering.labels, _said("cluster, -1 for none")),
        ClusterArray("distance", per_outlier, clustering.distance, _said("distance to the centroid")),
        ClusterArray(
            "coordinates",
            ("outlier", "component"),
            clustering.coordinates,
            _said("features along the principal axes: what was clustered"),
        ),
        ClusterArray(
            "centroids", ("cluster", "component"), clustering.partition.centroids, _said("k-means centroids")
        ),
        ClusterArray("axes", ("component", "feature"), principal.axes, _said("principal axes")),
        ClusterArray("feature_mean", ("feature",), principal.mean, _said("mean of the features")),
        ClusterArray(
            "feature_wavelength",
            ("feature",),
            clustering.rest.wavelength(),
            {**angstrom, **_said("centres of the features' bins, rest frame, vacuum")},
        ),
        ClusterArray(
            "rest_wavelength",
            ("rest_wavelength",),
            means.rest.wavelength(),
            {**angstrom, **_said("centres of the mean maps' bins, rest frame, vacuum")},
        ),
        ClusterArray("observed", per_cluster, means.count, _said("members observed in the bin")),
        ClusterArray("mean_flux", per_cluster, means.flux, _said("mean flux as scored")),
        ClusterArray("mean_baseline", per_cluster, means.baseline, _said("mean baseline of the same pixels")),
        ClusterArray("mean_attribution", per_cluster, means.attribution, _said(scaled)),
    ]


def _said(description: str) -> dict[str, object]:
    return {"description": description}


def _stored_means(stored: StoredClustering, grid: Mapping[str, Any]) -> ClusterMeans:
    def array(name: str) -> NDArray[np.float64]:
        return np.asarray(stored[name], dtype=np.float64)

    rest = RestGrid(int(grid.get("first", 0)), int(grid.get("size", 0)), float(grid.get("step", 1.0)))
    return ClusterMeans(
        rest, array("observed"), array("mean_flux"), array("mean_baseline"), array("mean_attribution")
    )


def _cluster_from(description: Mapping[str, Any]) -> ClusterSummary:
    return ClusterSummary(
        label=int(description["label"]),
        size=int(description["size"]),
        jaccard=_number(description["jaccard"]),
        peaks=tuple(
            Peak(
                wavelength=float(peak["wavelength"]),
                height=float(peak["height"]),
                line=str(peak["line"]),
                flux="excess" if peak["flux"] == "excess" else "deficit",
            )
            for peak in description["peaks"]
        ),
        examples=tuple(int(row) for row in description["examples"]),
    )


def _number(value: object) -> float:
    return math.nan if value is None else float(str(value))


def _without_nan(value: Any) -> Any:
    """The same with NaN as ``None``: JSON knows no NaN."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
