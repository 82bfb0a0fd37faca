"""Tables of spectra: specutils reads flux, error, units and mask; the rest is what the store holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from specutils import Spectrum

from engine.attribution.saliency import SaliencySettings
from engine.export.exported import LeftOut
from engine.export.spectrum_headers import header_text
from engine.export.spectrum_tables import INDEX, _file_names, write_spectrum_tables
from engine.query.query import COLUMNS, QuerySettings, answer
from engine.spectra.units import FLUX_UNIT
from engine.store.reading import StoreView
from models.errors import InputError
from tests.synthetic_store import FIRST_TARGET, WINDOWS, add_set, synthetic_store

FAILED = 5
SETTINGS = QuerySettings(target_ids=tuple(FIRST_TARGET + row for row in (1, 2, FAILED, 9)))


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> StoreView:
    store = synthetic_store(tmp_path_factory.mktemp("tables") / "odd.zarr", failed=frozenset([FAILED]))
    return StoreView.open(store.url)


@pytest.fixture(scope="module")
def written(view: StoreView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spectra") / "odd"
    done = write_spectrum_tables(view, SETTINGS, path)
    assert (done.spectra, done.files) == (2, 3)
    assert done.left_out == (LeftOut(2, "without an explanation: the store keeps no flux of them"),)
    return path


def test_the_index_is_the_answer_with_the_file_of_each(view: StoreView, written: Path) -> None:
    index = Table.read(written / INDEX)
    assert index.colnames == ["file", *COLUMNS]
    explained = answer(view, SETTINGS).query("explained")
    assert list(index["target_id"]) == explained["target_id"].tolist()
    assert sorted(index["file"]) == sorted(path.name for path in written.glob("*.fits"))
    assert index["file"][0] == f"{index['key'][0].replace('/', '-')}.fits"


def test_specutils_reads_them_with_units(view: StoreView, written: Path) -> None:
    for row in Table.read(written / INDEX):
        found = Spectrum.read(written / row["file"], format="tabular-fits")
        stored = view.outlier((row["target_id"] - FIRST_TARGET) // 4)
        assert stored.target_id == row["target_id"] == found.meta["header"]["TARGETID"]
        np.testing.assert_array_equal(found.spectral_axis.to_value("Angstrom"), stored.wavelength)
        np.testing.assert_array_equal(found.flux.to_value(FLUX_UNIT), stored.flux)
        np.testing.assert_array_equal(found.mask, stored.ivar == 0)
        good = ~found.mask
        np.testing.assert_allclose(found.uncertainty.array[good] ** -2, stored.ivar[good], rtol=3e-7)
        assert np.isinf(found.uncertainty.array[found.mask]).all()


def test_maps_places_and_scores_are_there(view: StoreView, written: Path) -> None:
    (row, *_) = Table.read(written / INDEX)
    stored = view.outlier((row["target_id"] - FIRST_TARGET) // 4)
    with fits.open(written / row["file"]) as file:
        data = file["SPECTRUM"].data
        for scale, values in zip(WINDOWS, stored.maps, strict=True):
            np.testing.assert_array_equal(data[f"map_{scale}"], values)
        np.testing.assert_array_equal(data["attribution"], stored.combined)
        np.testing.assert_array_equal(data["ivar"], stored.ivar)
        np.testing.assert_array_equal(data["baseline"], stored.baseline)
        assert file["SPECTRUM"].header["TCOMM9"] == "combined map [nat]"
        (place,) = file["PLACES"].data
        assert place["place_wavelength"] == stored.places[0].wavelength
        header = file[0].header
        assert header["TAILPROB"] == pytest.approx(row["tail_probability"])
        assert (header["SPECKEY"], header["MODEL"]) == (row["key"], "synthetic")
        assert "the survey's mask bits are not kept" in " ".join(header["COMMENT"])


def test_maps_are_those_of_the_set_of_explanations_that_is_asked_for(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr")
    add_set(store.url, SaliencySettings(), 40.0, 20)
    view = StoreView.open(store.url)
    asked = QuerySettings(target_ids=(FIRST_TARGET + 9,), explanation="saliency")
    write_spectrum_tables(view, asked, tmp_path / "set")
    stored = view.with_explanation("saliency").outlier(2)
    (path,) = (tmp_path / "set").glob("*.fits")
    with fits.open(path) as file:
        assert (file[0].header["METHOD"], file[0].header["TARGETID"]) == ("saliency", FIRST_TARGET + 9)
        np.testing.assert_array_equal(file["SPECTRUM"].data["attribution"], stored.combined)
        assert file["PLACES"].data["place_wavelength"][0] == stored.places[0].wavelength
        assert stored.places[0].wavelength != view.outlier(2).places[0].wavelength


def test_nothing_explained_is_an_error(view: StoreView, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 spectra, all of them without an explanation"):
        write_spectrum_tables(view, QuerySettings(target_ids=(FIRST_TARGET + 2,)), tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_headers_take_any_text() -> None:
    header = fits.Header()
    header["TEXT"] = header_text("Hα\x1b[0m\nnext")
    assert header["TEXT"] == r"Halpha\u241b[0m next"


def test_names_of_files_are_plain_and_different() -> None:
    keys = ["a/b/1", "a-b-1", "../../etc/passwd", "é\x1b[0m", "a/b/#1", "-", "."]
    assert _file_names(keys) == [
        "a-b-1.fits", "a-b-1-2.fits", "etc-passwd.fits", "0m.fits", "a-b-1-3.fits", "spectrum.fits",
        "spectrum-2.fits",
    ]  # fmt: skip
