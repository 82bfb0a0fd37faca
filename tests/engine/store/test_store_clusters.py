"""Clusterings of a store: written whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from engine.store.clusters import ClusterArray, write_clustering
from engine.store.reading import StoreView
from engine.store.verify import verify
from models.errors import ConfigurationError, InputError
from tests.engine.store.store_builders import tree_of

ARRAYS = (
    ClusterArray("outlier", ("outlier",), np.arange(5)),
    ClusterArray("label", ("outlier",), np.array([0, 1, 1, -1, 0], np.int32), {"description": "cluster"}),
    ClusterArray("rest_wavelength", ("rest_wavelength",), np.linspace(3000, 7000, 9), {"units": "Angstrom"}),
    ClusterArray("mean_map", ("cluster", "rest_wavelength"), np.full((2, 9), np.nan, np.float32)),
    ClusterArray("lines", ("cluster",), np.array(["[O III] 5008", ""], dtype=object)),
)


@pytest.fixture
def store(finished):
    return finished


def test_a_clustering_comes_back_with_names_and_attributes(store):
    write_clustering(store, "first.run", ARRAYS, {"settings": {"clusters": 2}})
    view = StoreView.open(store.url)
    assert view.clusterings() == ("first.run",)
    stored = view.clustering("first.run")
    assert stored.attributes == {"settings": {"clusters": 2}}
    assert set(stored.arrays) == {array.name for array in ARRAYS}
    for array in ARRAYS:
        np.testing.assert_array_equal(stored[array.name].astype(array.values.dtype), array.values)
        assert stored.arrays[array.name].dims == array.dims
    with xr.open_zarr(store.url, group="clusters/first.run", consolidated=False) as dataset:
        assert dataset.sel(rest_wavelength=5008, method="nearest")["rest_wavelength"].item() == 5000
        assert dataset["label"].dtype == np.int32
    assert verify(store.url).ok


def test_a_clustering_is_replaced_by_one_of_the_same_name(store):
    write_clustering(store, "a", ARRAYS, {"number": 1})
    write_clustering(store, "a", ARRAYS[:2], {"number": 2})
    stored = StoreView.open(store.url).clustering("a")
    assert (set(stored.arrays), stored.attributes) == ({"outlier", "label"}, {"number": 2})
    assert verify(store.url).ok


def test_writing_a_clustering_twice_gives_the_same_bytes(store, tmp_path):
    write_clustering(store, "a", ARRAYS, {"number": 1})
    before = tree_of(tmp_path)
    write_clustering(store, "a", ARRAYS, {"number": 1})
    assert tree_of(tmp_path) == before


def test_half_a_clustering_is_not_seen_and_is_found_by_verify(store):
    write_clustering(store, "a", ARRAYS, {})
    store.ledger.drop_clustering("a")  # what a kill during replacement leaves
    view = StoreView.open(store.url)
    assert view.clusterings() == ()
    with pytest.raises(InputError, match=r"no clustering of that name[\s\S]*whyspec cluster"):
        view.clustering("a")
    report = verify(store.url)
    assert {fault.kind for fault in report.faults} == {"unexpected-object"}
    write_clustering(store, "a", ARRAYS, {})
    assert verify(store.url).ok


def test_a_clustering_that_does_not_exist_is_answered_with_those_that_do(store):
    write_clustering(store, "main", ARRAYS, {})
    with pytest.raises(InputError, match=r"got: other\n  allowed: main"):
        StoreView.open(store.url).clustering("other")


@pytest.mark.parametrize("name", ["", "../spectra", "a/b", ".hidden", "x" * 65])
def test_names_that_could_leave_the_group_are_refused(store, name):
    with pytest.raises(ConfigurationError, match="cannot have that name"):
        write_clustering(store, name, ARRAYS, {})


def test_arrays_that_disagree_are_refused_before_anything_is_replaced(store):
    write_clustering(store, "a", ARRAYS, {})
    wrong = ClusterArray("size", ("cluster",), np.arange(3))
    with pytest.raises(ValueError, match="cluster has 3 elements, elsewhere 2"):
        write_clustering(store, "a", (*ARRAYS, wrong), {})
    assert StoreView.open(store.url).clusterings() == ("a",)
