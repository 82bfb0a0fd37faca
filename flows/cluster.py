"""Clustering of a store's explanations, with Dask."""

from __future__ import annotations

from engine.clustering.pipeline import ClusteringSummary, cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.run.events import RunObservers, Waiting
from engine.store.entries import RUN_SET
from engine.store.reading import StoreView
from engine.store.run_lock import run_lock
from infra.dask_cluster import dask_cluster
from infra.flow_call import as_flow
from infra.settings import load_settings
from models.observers import report


def cluster(
    store: str, settings: ClusteringSettings, observers: RunObservers, explanation: str = RUN_SET
) -> ClusteringSummary:
    """:func:`cluster_explanations`, as a flow of the user's Prefect server if there is one."""

    def work(store: str, settings: ClusteringSettings, explanation: str) -> ClusteringSummary:
        return cluster_explanations(store, settings, observers, explanation)

    return as_flow("cluster", work)(store, settings, explanation)


def cluster_explanations(
    store: str,
    settings: ClusteringSettings,
    observers: RunObservers = (),
    explanation: str = RUN_SET,
) -> ClusteringSummary:
    """Cluster all explanations of a set into its store; an earlier clustering of that name is replaced.

    Raises
    ------
    InputError : there is no store, or no set of explanations of that name.
    StoreError : the store is damaged.
    RetryError : another process writes to the store.
    """

    def on_wait(what: str) -> None:
        report(observers, Waiting(what))

    StoreView.open(store).with_explanation(explanation)  # refused before anything is started
    with run_lock(store, "cluster", on_wait=on_wait), dask_cluster(load_settings()):
        summary = cluster_store(store, settings, lambda step, _done, _steps: on_wait(step), explanation)
    on_wait("")
    return summary
