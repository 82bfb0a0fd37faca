"""Clustering of a store's explanations, with Dask."""

from __future__ import annotations

from engine.clustering.pipeline import ClusteringSummary, cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.run.events import RunObservers, Waiting
from engine.store.objects import ObjectTree
from engine.store.root import read_configuration
from engine.store.run_lock import run_lock
from infra.dask_cluster import dask_cluster
from infra.flow_call import as_flow
from infra.settings import load_settings
from models.observers import report


def cluster(store: str, settings: ClusteringSettings, observers: RunObservers) -> ClusteringSummary:
    """:func:`cluster_explanations`, as a flow of the user's Prefect server if there is one."""

    def work(store: str, settings: ClusteringSettings) -> ClusteringSummary:
        return cluster_explanations(store, settings, observers)

    return as_flow("cluster", work)(store, settings)


def cluster_explanations(
    store: str, settings: ClusteringSettings, observers: RunObservers = ()
) -> ClusteringSummary:
    """Cluster all explanations of a store into it; an earlier clustering of that name is replaced.

    Raises
    ------
    InputError : there is no store.
    StoreError : the store is damaged.
    RetryError : another process writes to the store.
    """

    def on_wait(what: str) -> None:
        report(observers, Waiting(what))

    read_configuration(ObjectTree(store))
    with run_lock(store, "cluster", on_wait=on_wait), dask_cluster(load_settings()):
        summary = cluster_store(store, settings, lambda step, _done, _steps: on_wait(step))
    on_wait("")
    return summary
