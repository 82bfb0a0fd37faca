"""Clustering of a store's explanations."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from engine.clustering.cluster import Progress, cluster_explanations
from engine.clustering.clustering import Clustering
from engine.clustering.lazy_explanations import LAZY, LazyExplanations
from engine.clustering.settings import ClusteringSettings
from engine.clustering.stored import ClusteringSummary, clustering_arrays
from engine.clustering.traits import Traits
from engine.store.clusters import write_clustering
from engine.store.dask_arrays import dask_array
from engine.store.entries import RUN_SET
from engine.store.reading import StoreView
from engine.store.schema import EXPLANATIONS
from engine.store.store import Store

__all__ = ["ClusteringSettings", "ClusteringSummary", "Progress", "cluster_store"]


def cluster_store(
    url: str,
    settings: ClusteringSettings,
    progress: Progress | None = None,
    explanation: str = RUN_SET,
) -> ClusteringSummary:
    """Cluster all committed, non-superseded explanations of a set and write the result into the store.

    The result is the group ``clusters/<name>``: labels and distances by outlier row, the coordinates
    that were clustered, axes and centroids, mean maps, and as attributes the settings and the
    summary. Dask's scheduler is the ambient one: threads, or the client that is active.

    Raises
    ------
    InputError : there is no store, or no set of explanations of that name.
    StoreError : the store is damaged.
    """
    view = StoreView.open(url).with_explanation(explanation)
    table = view.outliers_table(())
    usable = ~table["superseded"].to_numpy()
    traits = _traits(view, table)
    explanations = LazyExplanations(
        grid=view.configuration.grid,
        redshift=np.where(usable, table["redshift"].to_numpy(), np.nan),
        traits=traits.coordinates,
        **{name: dask_array(view, EXPLANATIONS[name].path) for name in LAZY},
    )
    clustering = cluster_explanations(explanations, settings, progress)
    summary = _summary(clustering, table, traits, int(usable.sum()))
    attributes = {
        "description": "clusters of explanations by attribution in the rest frame, cause and first place",
        "settings": _text(settings.to_dict()),
        "summary": _text(summary.to_dict()),
        "configuration_digest": view.configuration.digest,
        "mean_grid": _text(asdict(clustering.means.rest)),
        **({} if explanation == RUN_SET else {"explanation": explanation}),
    }
    write_clustering(Store.open(url), settings.name, clustering_arrays(clustering, table), attributes)
    return summary


def _text(attribute: dict[str, Any]) -> str:
    """An attribute as JSON text: netCDF, to which xarray writes a group, has no objects."""
    return json.dumps(attribute, ensure_ascii=False, allow_nan=False)


def _traits(view: StoreView, table: pd.DataFrame) -> Traits:
    places = {
        name: view.read(f"outliers/place_{name}")[:, 0]
        for name in ("wavelength", "rest_wavelength", "width", "sign")
    }
    return Traits(
        cause=table["cause"].to_numpy(object),
        probability=table["cause_probability"].to_numpy(),
        line=view.read("outliers/place_line")[:, 0].astype(object),
        **places,
    )


def _summary(clustering: Clustering, table: pd.DataFrame, traits: Traits, usable: int) -> ClusteringSummary:
    numbers, keys = table.index.to_numpy(), table["key"].to_numpy()
    clusters = []
    for cluster in clustering.clusters:
        examples = tuple(int(numbers[place]) for place in cluster.examples)
        title = traits.title(np.flatnonzero(clustering.labels == cluster.label))
        clusters.append(replace(cluster, examples=examples, title=title))
    return ClusteringSummary(
        name=clustering.settings.name,
        explanations=usable,
        clustered=int((clustering.labels >= 0).sum()),
        clusters=tuple(clusters),
        example_keys=tuple(
            tuple(str(keys[place]) for place in cluster.examples) for cluster in clustering.clusters
        ),
        silhouettes=clustering.partition.silhouettes,
        adjusted_rand=clustering.adjusted_rand,
        messages=clustering.messages,
    )
