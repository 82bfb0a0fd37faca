"""The flow that clusters a store's explanations, with Dask."""

from __future__ import annotations

from prefect import flow

from engine.clustering.pipeline import ClusteringSummary, cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.store.objects import ObjectTree
from engine.store.root import read_configuration
from engine.store.run_lock import run_lock
from infra.dask_cluster import dask_cluster
from infra.settings import load_settings
from tasks.run_listener import current_listener


@flow(name="cluster", persist_result=False)
def cluster(store: str, settings: ClusteringSettings) -> ClusteringSummary:
    """Cluster all explanations of a store into it; an earlier clustering of that name is replaced.

    Raises
    ------
    InputError : there is no store.
    StoreError : the store is damaged.
    RetryError : another process writes to the store.
    """
    listener = current_listener()
    read_configuration(ObjectTree(store))
    with run_lock(store, "cluster", told=listener.waiting), dask_cluster(load_settings()):
        summary = cluster_store(store, settings, lambda step, _done, _steps: listener.waiting(step))
    listener.waiting("")
    return summary
