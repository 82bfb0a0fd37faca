"""Creation of a store: where, with what configuration, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from engine.store.objects import ObjectTree
from engine.store.reading import StoreView
from engine.store.store import Store, check_configuration
from models.errors import ConfigurationError, InputError, StoreError
from tests.engine.store.store_builders import RELEASE, configuration, run, tree_of


def open_or_create(url, bound_to):
    if not Store.exists(url):
        return Store.create(url, bound_to)
    store = Store.open(url)
    check_configuration(store, bound_to)
    return store


def test_a_store_is_made_in_a_new_place_or_an_empty_directory(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new/deeply/nested"):
        url = str(tmp_path / name)
        assert not Store.exists(url)
        assert open_or_create(url, configuration()).configuration == configuration()
        assert Store.exists(url)
        assert Store.open(url).configuration == configuration()


@pytest.mark.parametrize("name", ["a::b.zarr", "zip::store", "file:store", "local::x"])
def test_a_path_is_a_path_whatever_is_in_it(tmp_path, monkeypatch, name):
    # fsspec takes "::" for a chain of URLs: a store was written to "a".
    monkeypatch.chdir(tmp_path)
    store = Store.create(name, configuration())
    run(store, RELEASE)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert StoreView.open(name).table(["key"])["key"].is_unique
    with pytest.raises(InputError, match=r"A URL of several[\s\S]*zip://inside"):
        Store.exists(f"zip://inside::{name}")


def test_a_directory_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"not empty[\s\S]*thesis.tex[\s\S]*Choose another --store"):
        Store.create(str(tmp_path), configuration())
    assert tree_of(tmp_path) == {"thesis.tex": b"years of work"}


def test_another_zarr_hierarchy_is_left_alone(tmp_path):
    (tmp_path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    with pytest.raises(InputError, match="not empty"):
        Store.create(str(tmp_path), configuration())
    with pytest.raises(InputError, match=r"There is no whyspec store[\s\S]*something else"):
        Store.open(str(tmp_path))


def test_an_existing_store_is_not_made_again(tmp_path):
    Store.create(str(tmp_path / "store"), configuration())
    with pytest.raises(ConfigurationError, match="There is a store at this place already"):
        Store.create(str(tmp_path / "store"), configuration())


@pytest.mark.parametrize("kept", [1, 20, 55])
def test_a_creation_that_was_killed_is_completed(tmp_path, kept):
    Store.create(str(tmp_path / "whole"), configuration())
    whole = tree_of(tmp_path / "whole")
    partial = ObjectTree(str(tmp_path / "killed"))
    for path in sorted(set(whole) - {"zarr.json"})[:kept]:
        partial.put(path, whole[path])
    assert not Store.exists(partial.url)
    open_or_create(partial.url, configuration())
    assert tree_of(tmp_path / "killed") == whole


def test_where_there_is_no_store_none_is_opened(tmp_path):
    with pytest.raises(InputError, match=r"There is no whyspec store[\s\S]*nothing there"):
        Store.open(str(tmp_path / "nowhere"))


def test_another_schema_version_is_refused_with_what_to_do(tmp_path):
    Store.create(str(tmp_path / "store"), configuration())
    path = tmp_path / "store" / "zarr.json"
    document = json.loads(path.read_text())
    document["attributes"] |= {"schema_version": 13, "created_by": "whyspec 9.1"}
    path.write_text(json.dumps(document))
    with pytest.raises(
        StoreError,
        match=r"got: schema version 13, whyspec 9.1\n  allowed: schema version 12\n  remedy: Use the version",
    ):
        Store.open(str(tmp_path / "store"))
    assert Store.exists(str(tmp_path / "store"))


def test_a_damaged_root_is_told_apart_from_no_store(tmp_path):
    Store.create(str(tmp_path / "store"), configuration())
    path = tmp_path / "store" / "zarr.json"
    document = json.loads(path.read_text())
    del document["attributes"]["configuration"]["threshold"]
    path.write_text(json.dumps(document))
    with pytest.raises(StoreError, match=r"root attributes do not describe[\s\S]*threshold"):
        Store.open(str(tmp_path / "store"))


def test_another_configuration_is_refused_with_every_difference(tmp_path):
    url = str(tmp_path / "store")
    open_or_create(url, configuration())
    other = replace(configuration(model="sdss-galaxy"), threshold=0.5)
    with pytest.raises(
        ConfigurationError,
        match=r"models: sdss-galaxy .* for GALAXY at z 0 to 0.65 here, "
        r"desi-galaxy .* for GALAXY at z 0 to 0.65 there; "
        r"threshold: 0.5 here, 0.25 there",
    ):
        open_or_create(url, other)


def test_a_store_below_a_file_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"cannot be written[\s\S]*Choose another --store"):
        Store.create(str(tmp_path / "notes.txt" / "store.zarr"), configuration())


def test_a_place_where_nothing_can_be_written_is_refused():
    with pytest.raises(InputError, match="cannot be"):
        Store.create("/proc/whyspec/store.zarr", configuration())


def test_a_file_is_no_place_for_a_store(tmp_path):
    (tmp_path / "spectra.fits").write_text("SIMPLE")
    for make in (Store.create, open_or_create):
        with pytest.raises(InputError):
            make(str(tmp_path / "spectra.fits"), configuration())
    assert (tmp_path / "spectra.fits").read_text() == "SIMPLE"


def test_an_unknown_kind_of_url_is_refused():
    with pytest.raises(InputError, match=r"cannot be opened here[\s\S]*nosuch"):
        Store.open("nosuch://bucket/store.zarr")
