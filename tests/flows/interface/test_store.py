"""A store in Python: queries in every library's form, explanations, lazy arrays, what notebooks show."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.table import QTable
from astropy.table import Table as AstropyTable

import whyspec
from engine.clustering.pipeline import cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.query.query import QuerySettings, query
from engine.query.table_formats import write_table
from flows.interface import optional_packages
from tests.engine.clustering.synthetic import SMALL_GRID
from tests.small_run import environment
from tests.synthetic_store import FIRST_TARGET, WINDOWS, SyntheticStore, synthetic_store

EXPLAINED = FIRST_TARGET + 1


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    store = synthetic_store(tmp_path_factory.mktemp("interface") / "odd.zarr")
    cluster_store(store.url, ClusteringSettings(resamples=2, maximum=5))
    return store


@pytest.fixture(scope="module")
def store(made: SyntheticStore) -> whyspec.Store:
    return whyspec.open(made.url)


def test_import_is_quick_and_silent() -> None:
    code = "import sys, whyspec; print(*(set(sys.argv[1].split()) & set(sys.modules)))"
    slow = "torch ray prefect dask distributed pandas xarray matplotlib zarr astropy polars specutils scipy"
    done = subprocess.run(
        [sys.executable, "-c", code, slow], env=environment(), capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_query_takes_the_conditions_of_the_command() -> None:
    taken = list(inspect.signature(whyspec.Store.query).parameters)[1:]
    assert taken == [each.name for each in fields(QuerySettings)]


def test_query_answers_what_the_command_answers(made: SyntheticStore, store: whyspec.Store) -> None:
    answer = store.query(redshift=(0.1, 0.2), top=5, line="Halpha")
    expected = query(made.url, QuerySettings(redshift=(0.1, 0.2), top=5, line="Halpha"))
    pd.testing.assert_frame_equal(answer.to_pandas(), expected)
    assert len(answer) == len(expected) > 0
    assert answer.keys == tuple(expected["key"])
    assert store.query(keys=expected["key"][0]).keys == (expected["key"][0],)  # one text is one key
    found = store.query(target_ids=[EXPLAINED, EXPLAINED + 1])
    assert found["target_id"].tolist() == [EXPLAINED, EXPLAINED + 1]  # no float on the way


def test_every_library_gets_every_column_with_every_digit(store: whyspec.Store) -> None:
    answer = store.query()
    frame = answer.to_pandas()
    arrow = answer.to_arrow()
    assert arrow.column_names == list(frame)
    assert arrow["target_id"].to_pylist() == frame["target_id"].tolist()
    assert arrow.schema.field("place_width").metadata == {b"unit": b"Angstrom"}
    table = answer.to_astropy()
    assert isinstance(table, QTable)
    assert table.colnames == list(frame)
    assert table["ra"].unit == "deg"
    assert table["place_wavelength"].to_value("nm") == pytest.approx(frame["place_wavelength"] / 10)
    assert table["target_id"].tolist() == frame["target_id"].tolist()
    dataset = answer.to_xarray()
    assert dataset.score.values.tolist() == frame["score"].tolist()
    assert dataset.place_width.attrs["units"] == "Angstrom"
    assert dataset.key.values.tolist() == frame["key"].tolist()


def test_units_are_those_of_written_tables(store: whyspec.Store, tmp_path: Path) -> None:
    answer = store.query(top=3)
    write_table(answer.to_pandas(), "fits", tmp_path / "odd.fits")
    written = AstropyTable.read(tmp_path / "odd.fits")
    table = answer.to_astropy()
    assert {name: table[name].unit for name in table.colnames} == {
        name: written[name].unit for name in written.colnames
    }


def test_unknown_integers_are_masked_or_nan(tmp_path: Path) -> None:
    store = whyspec.open(synthetic_store(tmp_path / "odd.zarr", spectra=20).url)
    answer = store.query(top=2)
    assert answer.to_astropy()["cluster"].mask.all()
    assert np.isnan(answer.to_xarray().cluster).all()
    assert answer.to_arrow()["cluster"].null_count == 2


def test_polars_gets_the_same(store: whyspec.Store) -> None:
    pytest.importorskip("polars")
    answer = store.query(top=4)
    frame = answer.to_polars()
    assert frame["target_id"].to_list() == answer["target_id"].tolist()
    assert frame.columns == list(answer.to_pandas())


def test_an_optional_package_that_is_missing_is_named_with_the_remedy() -> None:
    with pytest.raises(whyspec.WhyspecError) as caught:
        optional_packages.optional_package("no_such_package", "to_polars()")
    assert caught.value.kind == "missing-package"
    assert "pip install 'whyspec[no_such_package]'" in str(caught.value)


def test_an_explanation_has_arrays_places_and_a_figure(
    made: SyntheticStore, store: whyspec.Store, tmp_path: Path
) -> None:
    explanation = store.explanation(EXPLAINED)
    assert explanation.target_id == EXPLAINED
    assert explanation.key == made.rows["key"][1]
    np.testing.assert_array_equal(explanation.flux, made.explained.flux[0])
    np.testing.assert_array_equal(explanation.wavelength, SMALL_GRID.wavelength())
    assert explanation.maps.shape == (len(WINDOWS), SMALL_GRID.size)
    assert explanation.places[0].wavelength == made.place_wavelength[0]
    assert explanation.score == made.score[1]
    assert explanation.spectral_class == made.rows["spectype"][1]
    figure = explanation.plot(tmp_path / "why.png")
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")
    assert len(figure.axes) > 3
    arrays = explanation.to_xarray()
    assert arrays.maps.dims == ("window", "wavelength")
    assert arrays.maps.attrs["units"] == "nat"
    assert explanation.to_dict()["target_id"] == str(EXPLAINED)
    with pytest.raises(whyspec.WhyspecError, match="no explanation"):
        store.explanation(EXPLAINED + 1)


def test_a_spectrum_of_an_outlier_is_in_physical_units(store: whyspec.Store) -> None:
    spectrum = store.spectrum(EXPLAINED)
    explanation = store.explanation(EXPLAINED)
    np.testing.assert_allclose(spectrum.flux[spectrum.good], explanation.flux[explanation.ivar > 0])
    assert (spectrum.flux[~spectrum.good] == 0).all()
    assert spectrum.redshift == explanation.redshift
    assert len(spectrum.plot().axes) == 1


def test_specutils_gets_units_variance_and_mask(store: whyspec.Store) -> None:
    pytest.importorskip("specutils")
    spectrum = store.spectrum(EXPLAINED)
    given = store.explanation(EXPLAINED).to_specutils()
    assert given.flux.unit == "1e-17 erg / (s cm2 Angstrom)"
    np.testing.assert_array_equal(given.spectral_axis.to_value("Angstrom"), spectrum.wavelength)
    np.testing.assert_array_equal(given.uncertainty.array, spectrum.ivar)
    np.testing.assert_array_equal(given.mask, ~spectrum.good)
    assert given.meta["places"] == store.explanation(EXPLAINED).places


def test_outliers_are_lazy_and_without_padding(made: SyntheticStore, store: whyspec.Store) -> None:
    assert store.outliers.maps.chunks is not None
    assert store.outliers.sizes == {
        "outlier": int(made.outlier.sum()), "window": len(WINDOWS), "wavelength": SMALL_GRID.size,
        "quantity": store.outliers.sizes["quantity"], "place": store.outliers.sizes["place"],
    }  # fmt: skip
    np.testing.assert_array_equal(store.outliers.row, np.flatnonzero(made.outlier))
    at = store.maps.sel(window=8).sel(wavelength=6563, method="nearest")
    nearest = int(np.abs(SMALL_GRID.wavelength() - 6563).argmin())
    np.testing.assert_allclose(at, made.explained.combined[:, nearest], rtol=2**-10)
    assert store.outliers.flux.dims == ("outlier", "wavelength")
    assert store.outliers.place_width.attrs["units"] == "Angstrom"


def test_clusters_have_titles_means_and_members(made: SyntheticStore, store: whyspec.Store) -> None:
    clusters = store.clusters()
    assert int(clusters["size"].sum()) == int((clusters.label >= 0).sum()) == int(made.outlier.sum())
    assert clusters.mean_flux.dims == ("cluster", "rest_wavelength")
    assert clusters.label.sizes["outlier"] == int(made.outlier.sum())
    with pytest.raises(whyspec.WhyspecError, match="no clustering of that name"):
        store.clusters("none")


def test_notebooks_show_facts_and_obey_nothing_of_the_data(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    store = whyspec.open(synthetic_store(tmp_path / "odd.zarr", spectra=20, survey=hostile).url)
    explanation = store.explanation(EXPLAINED)
    for page in (
        store._repr_html_(), store.query()._repr_html_(), explanation._repr_html_(),
        explanation.spectrum._repr_html_(),
    ):  # fmt: skip
        assert "<script>" not in page
        assert "\x1b" not in page
    assert "data:image/png;base64," in explanation._repr_html_()
    assert "&lt;script&gt;" in store.query()._repr_html_()
    assert "explained outliers: 5" in repr(store)
    assert "place" in repr(store.query())


def test_long_answers_are_cut_and_say_so(store: whyspec.Store) -> None:
    answer = store.query()
    assert f"... {len(answer) - 20} more" in repr(answer)
    assert f"... {len(answer) - 20} more" in answer._repr_html_()
    assert answer._repr_html_().count("<tr>") == 20


def test_a_place_without_a_store_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(whyspec.WhyspecError, match="no whyspec store"):
        whyspec.open(str(tmp_path))
