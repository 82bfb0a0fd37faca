"""A clustering as a store keeps it: arrays and attributes, written and read back."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from engine.clustering.clustering import Clustering, ClusterMeans, ClusterSummary, FloatOrNone
from engine.clustering.rest_frame import RestGrid
from engine.store.clusters import ClusterArray, StoredClustering, clustering_damaged
from engine.store.entries import RUN_SET
from engine.store.reading import StoreView
from models.errors import ErrorKind, InputError
from models.json_text import first_problem, read_json


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
    adjusted_rand: FloatOrNone
    messages: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, NaN as null: as text it is an attribute of the clustering."""
        return dict(_without_nan(asdict(self)))


_SUMMARY = TypeAdapter(ClusteringSummary)


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
    InputError : there is none, or it is of another set of explanations than the view's.
    StoreError : it is damaged.
    """
    stored = view.clustering(name)
    if (explanation := _explanation_of(stored)) != view.explanation:
        raise InputError(
            "The clustering is of other explanations.",
            where=f"{view.url}/clusters/{name}",
            got=f"explanations {explanation}",
            allowed=f"a clustering of the explanations {view.explanation}",
            remedy=f"Ask for it with --explanation {explanation}, or run "
            f"'whyspec cluster {view.url} --explanation {view.explanation}'.",
            kind=ErrorKind.NO_CLUSTERING,
        )
    return _checked(view, stored)


def shown_clustering(view: StoreView) -> ReadClustering | None:
    """The clustering of the view's set of explanations that a report shows; ``None`` where there is none.

    It is that of the set's own name, else the first.

    Raises
    ------
    StoreError : one is damaged.
    """
    for name in sorted(view.clusterings(), key=lambda name: name != view.explanation):
        stored = view.clustering(name)
        if _explanation_of(stored) == view.explanation:
            return _checked(view, stored)
    return None


def explanation_of(view: StoreView, name: str) -> str:
    """Name of the set of explanations that a clustering is of.

    Raises
    ------
    InputError : there is no clustering of that name.
    StoreError : it is damaged.
    """
    return _explanation_of(view.clustering(name))


def _checked(view: StoreView, stored: StoredClustering) -> ReadClustering:
    where = f"{view.url}/clusters/{stored.name}"
    try:
        return _read(stored)
    except ValidationError as error:
        raise clustering_damaged(where, first_problem(error)) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        got = f"{type(error).__name__}: {error}"
        raise clustering_damaged(where, got) from error


def _explanation_of(stored: StoredClustering) -> str:
    # Whether the attributes are those of a clustering, who reads the rest of it finds out.
    attributes = stored.attributes if isinstance(stored.attributes, dict) else {}
    return str(attributes.get("explanation", RUN_SET))


def _read(stored: StoredClustering) -> ReadClustering:
    """A clustering, whose parts fit each other; raises what is raised for those that do not."""
    summary = _SUMMARY.validate_json(str(stored.attributes["summary"]))
    grid = read_json(str(stored.attributes["mean_grid"]).encode())
    rest = RestGrid(int(grid["first"]), int(grid["size"]), float(grid["step"]))
    means = ClusterMeans(
        rest,
        *(
            np.asarray(stored[name], np.float64)
            for name in ("observed", "mean_flux", "mean_baseline", "mean_attribution")
        ),
    )
    labels = pd.Series(stored["label"], index=pd.Index(stored["outlier"], name="outlier"), name="cluster")
    clusters = len(summary.clusters)
    shapes = {each.shape for each in (means.count, means.flux, means.baseline, means.attribution)}
    if shapes != {(clusters, rest.size)} or len(summary.example_keys) != clusters:
        raise ValueError(f"{clusters} clusters on {rest.size} bins, and means of shapes {shapes}")
    if not labels.between(-1, clusters - 1).all() or not labels.index.is_unique:
        raise ValueError("labels that are no clusters, or outliers that have two")
    if not np.isfinite(rest.wavelength()).all():
        raise ValueError(f"bins that have no wavelength: {grid}")
    return ReadClustering(summary, labels, means)


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
            ("outlier", "coordinate"),
            clustering.coordinates,
            _said(
                "what was clustered: features along the principal axes, then a direction per cause, sign and "
                "relative width of the first place"
            ),
        ),
        ClusterArray(
            "centroids", ("cluster", "coordinate"), clustering.partition.centroids, _said("k-means centroids")
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


def _without_nan(value: Any) -> Any:
    """The same with NaN as ``None``: JSON knows no NaN."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
