"""View of a store: what is finished is read, nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from engine.store.dask_arrays import dask_array
from engine.store.reading import StoreView
from engine.store.store import Store
from models.errors import InputError
from tests.engine.store.store_builders import (
    GRID,
    RELEASE,
    begin_plan,
    configuration,
    listing,
    plan_of,
    run,
    source_file,
    write_block,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two runs, so that there is padding between the rows."""
    store = Store.create(str(tmp_path_factory.mktemp("reading") / "store.zarr"), configuration())
    run(store, RELEASE)
    run(store, listing(*RELEASE.files, source_file("c", 5)))
    return store


def test_the_table_has_committed_rows_without_padding_indexed_by_store_row(store):
    table = StoreView.open(store.url).table()
    assert table.index.tolist() == [*range(22), *range(24, 29)]
    assert table.index.name == "row"
    assert table["target_id"].dtype == np.int64
    assert table["source"].iloc[[0, 13, 22]].tolist() == [f"/release/{name}.fits" for name in "abc"]
    assert table["key"].is_unique
    assert (table["key"] == "iron/main/dark/" + table["target_id"].astype(str)).all()
    assert table.loc[table["status"] == 1, "score"].notna().all()
    assert table.loc[table["status"] != 1, "score"].isna().all()
    assert {"mse", "chi2_lines_masked", "tail_probability", "outlier", "superseded"} <= set(table.columns)
    assert not any(name.startswith("latent") for name in table.columns)


def test_columns_are_read_as_asked(store):
    view = StoreView.open(store.url)
    table = view.table(["score", "latents", "chi2_lines_masked"])
    assert table.columns.tolist() == ["score", "latent_0", "latent_1", "latent_2", "chi2_lines_masked"]
    np.testing.assert_array_equal(table["latent_1"], view.read("scores/latents")[:, 1])
    with pytest.raises(InputError, match=r"no column of that name[\s\S]*got: z_best[\s\S]*redshift"):
        view.table(["z_best"])


def test_outliers_carry_what_their_rows_say(store):
    view = StoreView.open(store.url)
    table, outliers = view.table(), view.outliers_table(("score", "tail_probability", "spectype"))
    assert sorted(outliers["row"]) == table.index[table["outlier"]].tolist()
    for name in ("key", "target_id", "redshift", "score", "tail_probability", "spectype", "superseded"):
        assert outliers[name].tolist() == table.loc[outliers["row"], name].tolist()
    assert outliers.index.name == "outlier"


def test_one_explanation_is_whole(store):
    view = StoreView.open(store.url)
    table = view.outliers_table()
    number = int(table.index[-1])
    one = view.outlier(number)
    assert (one.row, one.key) == (table["row"].iloc[-1], table["key"].iloc[-1])
    assert one.maps.shape == one.spread.shape == (3, GRID.size)
    assert one.flux.shape == one.ivar.shape == one.baseline.shape == one.combined.shape == (GRID.size,)
    np.testing.assert_array_equal(one.wavelength, GRID.wavelength())
    (place,) = one.places
    assert place.rest_wavelength == pytest.approx(place.wavelength / (1 + one.redshift), rel=1e-15)
    assert (place.width, place.sign, place.share) == (12.0, 1, 0.5)
    np.testing.assert_array_equal(view.read("outliers/maps")[-1], one.maps)


@pytest.mark.parametrize("number", [-1, 10**6])
def test_an_outlier_that_is_not_there_is_refused(store, number):
    with pytest.raises(InputError, match=rf"no explained outlier[\s\S]*got: {number}\n  allowed: 0 to"):
        StoreView.open(store.url).outlier(number)


def test_padding_is_no_outlier(store):
    view = StoreView.open(store.url)
    padding = next(number for number in range(99) if all(not a <= number < b for a, b in view.outlier_ranges))
    with pytest.raises(InputError, match="no explained outlier"):
        view.outlier(padding)


@pytest.mark.parametrize("path", ["outliers/combined", "outliers/maps", "scores/latents", "spectra/redshift"])
def test_dask_arrays_have_the_same_rows_in_chunks_of_blocks(store, path):
    view = StoreView.open(store.url)
    lazy = dask_array(view, path)
    capacity = 4 if path.startswith("outliers") else 8
    assert max(lazy.chunks[0]) <= capacity
    assert all(len(chunks) == 1 for chunks in lazy.chunks[1:])
    np.testing.assert_array_equal(lazy.compute(scheduler="threads"), view.read(path))


def test_blocks_that_are_not_committed_are_not_seen(tmp_path):
    store = Store.create(str(tmp_path / "store.zarr"), configuration())
    plan = plan_of(store, RELEASE)
    begin_plan(store, plan)
    results = [write_block(store, block) for block in plan.blocks]
    view = StoreView.open(store.url)
    assert (view.spectra, view.outliers) == (0, 0)
    assert len(view.table()) == 0
    assert view.table().columns.tolist() == list(view.columns)
    assert len(view.outliers_table()) == 0
    assert dask_array(view, "outliers/maps").shape == (0, 3, GRID.size)
    store.ledger.commit(results[1])
    assert StoreView.open(store.url).table().index.tolist() == list(range(8, 16))
    assert len(view.table()) == 0


def test_a_view_is_what_was_committed_when_it_was_opened(tmp_path):
    store = Store.create(str(tmp_path / "store.zarr"), configuration())
    run(store, RELEASE)
    view = StoreView.open(store.url)
    before = view.table()
    run(store, listing(*RELEASE.files, source_file("c", 5)))
    assert view.table().equals(before)
    assert len(StoreView.open(store.url).table()) == len(before) + 5


def test_explanations_are_those_of_the_staged_spectra(store):
    view = StoreView.open(store.url)
    one = view.outlier(0)
    assert one.explained_score == abs(one.flux[0])
