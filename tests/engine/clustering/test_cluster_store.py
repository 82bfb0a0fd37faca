"""Clustering of a store: what is written, replaced and left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from sklearn.metrics import adjusted_rand_score

from engine.clustering.pipeline import cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.clustering.stored import read_store_clustering
from engine.store.clusters import write_clustering
from engine.store.reading import StoreView
from engine.store.store import Store
from models.errors import InputError, StoreError
from tests.engine.store.store_builders import mark_superseded
from tests.synthetic_store import SyntheticStore, synthetic_store

FAST = ClusteringSettings(resamples=5, maximum=8)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    return synthetic_store(tmp_path_factory.mktemp("clusters") / "odd.zarr")


def test_a_store_is_clustered_and_read_back(store: SyntheticStore) -> None:
    summary = cluster_store(store.url, FAST)
    view = StoreView.open(store.url)
    read = read_store_clustering(view, "default")
    assert adjusted_rand_score(store.explained.group, read.labels) == 1.0
    assert repr(read.summary) == repr(summary)  # NaN and all
    assert summary.explanations == summary.clustered == int(store.outlier.sum())
    assert read.means.flux.shape == (len(summary.clusters), read.means.rest.size)
    keys = np.array(store.rows.keys())[store.outlier]
    for cluster, examples in zip(summary.clusters, summary.example_keys, strict=True):
        assert [keys[number] for number in cluster.examples] == list(examples)


def test_plain_zarr_reads_the_clustering(store: SyntheticStore) -> None:
    cluster_store(store.url, FAST)
    group = zarr.open_group(store.url, path="clusters/default", mode="r")
    assert np.asarray(group["label"]).shape == np.asarray(group["outlier"]).shape
    assert group["rest_wavelength"].attrs["units"] == "Angstrom"
    assert json.loads(str(group.attrs["settings"]))["seed"] == 0


def test_clustering_again_replaces_and_other_names_stay(store: SyntheticStore) -> None:
    first = cluster_store(store.url, FAST)
    cluster_store(store.url, ClusteringSettings(name="two", clusters=2, resamples=5))
    again = cluster_store(store.url, FAST)
    assert repr(first) == repr(again)
    view = StoreView.open(store.url)
    assert view.clusterings() == ("default", "two")
    assert len(read_store_clustering(view, "two").summary.clusters) == 2


def test_superseded_explanations_are_left_out(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr")
    gone = np.flatnonzero(store.outlier)[[0, 3]]
    mark_superseded(Store.open(store.url), gone.tolist())
    summary = cluster_store(store.url, FAST)
    labels = read_store_clustering(StoreView.open(store.url), "default").labels
    assert summary.explanations == summary.clustered == int(store.outlier.sum()) - 2
    assert labels.to_numpy()[[0, 3]].tolist() == [-1, -1]


def test_a_store_without_explanations_gets_an_empty_clustering(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr", outliers=False)
    summary = cluster_store(store.url, FAST)
    assert summary.clusters == ()
    assert summary.messages == ("There are no explanations to cluster.",)
    assert len(read_store_clustering(StoreView.open(store.url), "default").labels) == 0


def test_no_store_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no whyspec store"):
        cluster_store(str(tmp_path / "nothing.zarr"), FAST)


def test_damaged_attributes_are_told(store: SyntheticStore) -> None:
    opened = Store.open(store.url)
    write_clustering(opened, "damaged", (), {"summary": '{"name": "x"}'})
    with pytest.raises(StoreError, match=r"clusters/damaged(.|\n)*Run 'whyspec cluster' again"):
        read_store_clustering(StoreView.open(store.url), "damaged")
    opened.ledger.drop_clustering("damaged")
