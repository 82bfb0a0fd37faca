"""Stores as xarray and zarr show them without any code of this project; warnings are errors here."""

from __future__ import annotations

import json

import astropy.units as u
import numpy as np
import pytest
import xarray as xr
import zarr

from engine.attribution.cautions import Caution
from engine.clustering.pipeline import cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.spectra.exposure_remarks import ExposureRemark
from engine.spectra.rows import COLUMNS
from engine.store.schema import ARRAYS
from engine.store.store import Store
from models.row_status import RowStatus
from tests.engine.store.store_builders import GRID, WINDOWS, configuration, listing, run, source_file
from tests.synthetic_store import synthetic_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store.create(str(tmp_path_factory.mktemp("plain") / "store.zarr"), configuration())
    run(store, listing(source_file("a", 13), source_file("b", 9)))
    return store


@pytest.fixture(scope="module")
def clustered(tmp_path_factory):
    made = synthetic_store(tmp_path_factory.mktemp("clustered") / "store.zarr", spectra=60)
    cluster_store(made.url, ClusteringSettings(clusters=2, resamples=2))
    return made.url


def test_xarray_selects_maps_by_wavelength_and_window(store):
    with xr.open_zarr(store.url, group="outliers", consolidated=False) as outliers:
        picked = outliers["maps"].sel(wavelength=6562.8, window=16, method="nearest")
        pixel = np.abs(GRID.wavelength() - 6562.8).argmin()
        np.testing.assert_array_equal(picked.values, outliers["maps"].values[:, 2, pixel])
        np.testing.assert_array_equal(outliers["wavelength"].values, GRID.wavelength())
        assert outliers["wavelength"].attrs["units"] == "Angstrom"
        assert outliers["window"].values.tolist() == list(WINDOWS)
        assert set(outliers.coords) == {
            "wavelength",
            "window",
            "quantity",
            "row",
            "key",
            "target_id",
            "redshift",
        }
        assert outliers["cautions"].dtype == np.uint16
        explained = outliers["row"].values >= 0
        wanted = np.rint(100 * outliers["redshift"].values[explained]) % 4
        assert wanted.any()
        np.testing.assert_array_equal(outliers["cautions"].values[explained], wanted)
        assert not outliers["cautions"].values[~explained].any()
        strip = outliers.sel(wavelength=slice(6500, 6520))
        assert strip.sizes["wavelength"] == 11


def test_xarray_names_scores_and_reads_strings_and_integers_as_such(store):
    with xr.open_zarr(store.url, group="scores", consolidated=False) as scores:
        one = scores["reconstruction"].sel(reconstruction_score="chi2_lines_masked")
        np.testing.assert_array_equal(one.values, scores["reconstruction"].values[:, 1])
        assert scores.sizes["latent"] == 3
    with xr.open_zarr(store.url, group="spectra", consolidated=False) as spectra:
        loaded = spectra.load()
        assert loaded["target_id"].dtype == np.int64
        assert loaded["status"].dtype == np.uint8
        assert loaded["key"].values[0] == f"iron/main/dark/{int(loaded['target_id'].values[0])}"
        assert str(loaded["source"].values[13]) == "/release/b.fits"
        assert set(loaded.data_vars) | set(loaded.coords) == {column.name for column in COLUMNS} | {
            "key",
            "source",
            "superseded",
            "gone",
        }


def test_walking_the_hierarchy_with_zarr_and_xarray_warns_of_nothing(store):
    root = zarr.open_group(store.url, mode="r")
    assert sorted(name for name, _ in root.groups()) == ["clusters", "outliers", "scores", "spectra"]
    assert root["outliers/maps"].metadata.dimension_names == ("outlier", "window", "wavelength")
    with xr.open_datatree(store.url, engine="zarr", consolidated=False) as tree:
        assert "/outliers" in tree.groups


@pytest.mark.parametrize("group", ["spectra", "scores", "outliers", "clusters/default"])
def test_xarray_writes_every_group_as_netcdf(clustered, group, tmp_path):
    """By the engine that needs no other package; netCDF-3, which it writes, has no integers of 64 bits."""
    with xr.open_zarr(clustered, group=group, consolidated=False) as dataset:
        loaded = dataset.load()
    wide = [name for name, variable in loaded.variables.items() if variable.dtype.kind == "i"]
    loaded = loaded.drop_vars([name for name in wide if loaded[name].dtype == np.int64])
    loaded.to_netcdf(tmp_path / "group.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "group.nc", engine="scipy") as back:
        assert set(back.variables) == set(loaded.variables)
        for name in back.data_vars:
            assert back[name].attrs.keys() == loaded[name].attrs.keys()
    assert all(_is_netcdf(value) for value in loaded.attrs.values())
    for variable in loaded.variables.values():
        assert all(_is_netcdf(value) for value in variable.attrs.values())


def _is_netcdf(value):
    numbers = value if isinstance(value, list) else [value]
    return isinstance(value, str) or all(type(number) in (int, float) for number in numbers)


def test_an_empty_store_can_be_read(tmp_path):
    empty = Store.create(str(tmp_path / "empty.zarr"), configuration())
    for group in ("spectra", "scores", "outliers"):
        with xr.open_zarr(empty.url, group=group, consolidated=False) as dataset:
            dataset.load()
    assert zarr.open_group(empty.url, mode="r")["outliers/maps"].shape == (0, 3, GRID.size)


def test_padding_is_flagged_for_plain_readers(store):
    root = zarr.open_group(store.url, mode="r")
    status = root["spectra/status"][:]
    assert (status != RowStatus.PADDING).sum() == 22
    assert (status[22:] == RowStatus.PADDING).all()
    assert (root["spectra/key"][22:] == "").all()
    assert np.isnan(root["scores/score"][22:]).all()
    rows = root["outliers/row"][:]
    assert (rows[rows >= 0] == np.flatnonzero(root["scores/outlier"][:])).all()
    assert (rows < 0).any()


def test_every_unit_is_one_that_astropy_reads(store):
    root = zarr.open_group(store.url, mode="r")
    units = {spec.path: root[spec.path].attrs["units"] for spec in ARRAYS if spec.unit}
    assert units["outliers/place_width"] == "Angstrom"
    for unit in units.values():
        u.Unit(unit)
    assert u.Unit(units["scores/normalisation"]).is_equivalent(u.erg / u.s / u.cm**2 / u.AA)
    assert all(root[spec.path].attrs["long_name"] for spec in ARRAYS)


def test_scores_and_maps_say_that_they_are_in_nat(store):
    root = zarr.open_group(store.url, mode="r")
    for name in ("explained_score", "baseline_score", "maps", "spread", "combined"):
        attributes = root[f"outliers/{name}"].attrs
        assert (attributes["long_name"].rpartition(", in ")[2], attributes["units"]) == ("nat", "1")


def test_attributes_say_flags_rounding_and_what_the_store_is_bound_to(store):
    root = zarr.open_group(store.url, mode="r")
    status = root["spectra/status"].attrs
    meanings = dict(zip(status["flag_values"], status["flag_meanings"].split(), strict=True))
    assert meanings == {int(code): code.label for code in RowStatus}
    cautions = root["outliers/cautions"].attrs
    masks = dict(zip(cautions["flag_masks"], cautions["flag_meanings"].split(), strict=True))
    assert masks == {int(caution): caution.label for caution in Caution}
    assert len(cautions["flag_descriptions"].split("\n")) == len(masks)
    remarks = root["spectra/exposure_remarks"].attrs
    masks = dict(zip(remarks["flag_masks"], remarks["flag_meanings"].split(), strict=True))
    assert masks == {int(remark): remark.label for remark in ExposureRemark}
    assert root["scores/model"].attrs["models"] == "desi-galaxy (0123456789ab) for GALAXY at z 0 to 0.65"
    assert root["outliers/maps"].attrs["mantissa_bits"] == 10
    assert root["outliers/maps"].attrs["relative_error"] == 2**-11
    assert "mantissa_bits" not in root["outliers/flux"].attrs
    attributes = dict(root.attrs)
    assert attributes["schema_version"] == 12
    assert attributes["grid"]["units"] == "Angstrom"
    assert attributes["models"][0]["name"] == "desi-galaxy"
    assert attributes["models"][0]["digest"] == "0123456789abcdef"
    assert attributes["configuration"] == json.loads(json.dumps(store.configuration.to_dict()))
    assert attributes["configuration_digest"] == store.configuration.digest
    assert attributes["created_by"].startswith("whyspec")


def test_only_codecs_of_the_zarr_specification_and_no_consolidated_metadata(store, tmp_path):
    portable = {"bytes", "blosc", "crc32c", "sharding_indexed", "vlen-utf8"}

    def names(codecs):
        for codec in codecs:
            yield codec["name"]
            for inner in ("codecs", "index_codecs"):
                yield from names(codec.get("configuration", {}).get(inner, []))

    for path in store.objects.sizes():
        if path.endswith("zarr.json"):
            document = json.loads(store.objects.get(path))
            assert "consolidated_metadata" not in document
            assert set(names(document.get("codecs", []))) <= portable
