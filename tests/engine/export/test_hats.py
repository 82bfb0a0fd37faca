"""HATS catalogues: what pyarrow and lsdb find in them is what a query finds."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from engine.export import hats
from engine.export.exported import LeftOut
from engine.export.hats import write_hats
from engine.export.spectrum_tables import write_spectrum_tables
from engine.query.query import COLUMNS, QuerySettings, answer
from engine.query.target_list import read_target_list
from engine.store.reading import StoreView
from flows.store.catalogue import update_catalogue_of
from models.errors import InputError
from tests.engine.clustering.synthetic import SMALL_GRID
from tests.synthetic_store import FIRST_TARGET, SPECTRA, synthetic_store

UNPLACED = 4
EVERY = QuerySettings(status="any")


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> StoreView:
    store = synthetic_store(tmp_path_factory.mktemp("hats") / "odd.zarr", unplaced=UNPLACED)
    return StoreView.open(store.url)


@pytest.fixture(scope="module")
def whole(view: StoreView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalogue") / "odd hats"
    done = write_hats(view, EVERY, path, partition_rows=20)
    assert (done.spectra, done.files) == (SPECTRA - UNPLACED, len(list(path.rglob("*.parquet"))))
    assert done.left_out == (LeftOut(UNPLACED, "without a position on the sky"),)
    return path


def rows_of(path: Path) -> pd.DataFrame:
    return pq.read_table(path / "dataset", partitioning=None).to_pandas()


def same_rows(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        found[list(COLUMNS)].sort_values("key", ignore_index=True),
        expected[list(COLUMNS)].sort_values("key", ignore_index=True),
        check_dtype=False,
        check_exact=True,
    )


def test_it_holds_every_column_and_digit_of_the_answer(view: StoreView, whole: Path) -> None:
    expected = answer(view, EVERY)
    found = rows_of(whole)
    same_rows(found, expected[expected["ra"].notna()])
    assert found["target_id"].dtype == np.int64
    assert found["target_id"].min() > 2**53


def test_rows_are_sorted_and_where_their_partition_says(whole: Path) -> None:
    for path in whole.rglob("*.parquet"):
        order, pixel = (int(part.partition("=")[2]) for part in (path.parts[-3], path.stem))
        cells = pq.read_table(path, partitioning=None)["_healpix_29"].to_numpy()
        assert (np.diff(cells) >= 0).all()
        assert set(cells >> 2 * (29 - order)) == {pixel}
    footer = pq.read_metadata(whole / "dataset" / "_metadata")
    assert footer.num_rows == SPECTRA - UNPLACED
    field = pq.read_schema(whole / "dataset" / "_common_metadata").field("ra")
    assert field.metadata == {b"unit": b"deg", b"description": b"right ascension, ICRS"}


def test_it_is_the_same_with_a_catalogue_of_the_store(view: StoreView, whole: Path, tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr", unplaced=UNPLACED)
    update_catalogue_of(store.url)
    write_hats(StoreView.open(store.url), EVERY, tmp_path / "hats", partition_rows=20)
    parts = [
        sorted(each.relative_to(path) for each in path.rglob("*.parquet"))
        for path in (whole, tmp_path / "hats")
    ]
    assert parts[0] == parts[1]
    for part in parts[0]:
        assert pq.read_table(whole / part, partitioning=None) == pq.read_table(
            tmp_path / "hats" / part, partitioning=None
        )


def test_a_selection_is_that_of_the_query(view: StoreView, tmp_path: Path) -> None:
    settings = QuerySettings(where="z < 0.2", top=7, columns=("key", "target_id", "healpix_29"))
    done = write_hats(view, settings, tmp_path / "few")
    found = rows_of(tmp_path / "few")
    assert list(found) == ["_healpix_29", "key", "target_id", "healpix_29", "ra", "dec"]
    assert sorted(found["key"]) == sorted(answer(view, settings)["key"])
    assert (found["_healpix_29"] == found["healpix_29"]).all()
    assert done.left_out == ()


def test_what_the_store_lacks_is_counted(view: StoreView, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text(f"targetid\n{FIRST_TARGET + 9}\n{FIRST_TARGET}\n17\n18\n")
    settings = QuerySettings(targets=read_target_list(tmp_path / "ids.csv"))
    done = write_hats(view, settings, tmp_path / "asked")
    assert rows_of(tmp_path / "asked")["target_id"].tolist() == [FIRST_TARGET + 9]
    assert done.left_out == (LeftOut(2, "not in the store"), LeftOut(1, "without a position on the sky"))


def test_unsigned_identifiers_keep_every_bit(tmp_path: Path) -> None:
    first = 10_586_837_783_195_965_440  # an eBOSS plate above 8191
    grid = replace(SMALL_GRID, name="sdss")
    store = synthetic_store(tmp_path / "odd.zarr", grid=grid, first_target=first - 2**64, spectra=12)
    view = StoreView.open(store.url)
    write_hats(view, EVERY, tmp_path / "hats")
    found = rows_of(tmp_path / "hats")["target_id"]
    assert found.dtype == np.uint64
    assert sorted(found) == list(range(first, first + 12))
    write_spectrum_tables(view, QuerySettings(top=1), tmp_path / "one")
    (path,) = (tmp_path / "one").glob("*.fits")
    assert fits.getheader(path)["TARGETID"] in (first + 1, first + 5, first + 9)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (QuerySettings(where="z > 100"), "no spectrum; 0 asked for by name are not in the store"),
        (QuerySettings(target_ids=(17,)), "no spectrum; 1 asked for by name are not in the store"),
        (QuerySettings(target_ids=(FIRST_TARGET,)), "1 spectra, all of them without a position on the sky"),
    ],
)
def test_nothing_to_write_is_an_error(
    view: StoreView, tmp_path: Path, settings: QuerySettings, text: str
) -> None:
    with pytest.raises(InputError, match=text) as caught:
        write_hats(view, settings, tmp_path / "hats")
    assert caught.value.kind == "nothing-to-export"
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_written_over(view: StoreView, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="there is something of that name"):
        write_hats(view, EVERY, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []
    with pytest.raises(InputError, match="its directory does not exist"):
        write_hats(view, EVERY, tmp_path / "absent" / "hats")


def test_a_failure_leaves_nothing(view: StoreView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hats, "_write_properties", fails)
    with pytest.raises(InputError, match="No space left on device"):
        write_hats(view, EVERY, tmp_path / "hats")
    assert list(tmp_path.iterdir()) == []


def test_lsdb_opens_searches_and_matches_it(view: StoreView, whole: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that lsdb brings
        import dask
        import lsdb
        from hats.io.validation import is_valid_catalog

        expected = answer(view, EVERY)
        expected = expected[expected["ra"].notna()]
        with dask.config.set(scheduler="synchronous"):
            assert is_valid_catalog(whole, strict=True)
            catalogue = lsdb.open_catalog(whole)
            assert len(catalogue) == len(expected)
            same_rows(pd.DataFrame(catalogue.compute()).astype(expected.dtypes.to_dict()), expected)

            ra, dec = expected[["ra", "dec"]].iloc[3]
            cone = catalogue.cone_search(ra, dec, radius_arcsec=40 * 3600.0).compute()
            places = SkyCoord(expected["ra"], expected["dec"], unit="deg")
            near = places.separation(SkyCoord(ra, dec, unit="deg")) <= 40 * u.deg
            assert 3 < near.sum() < len(expected)
            assert sorted(map(int, cone["target_id"])) == sorted(expected["target_id"][near])

            some = expected.iloc[::9]
            other = pd.DataFrame({"ra": some["ra"], "dec": some["dec"] + 1e-4, "asked": some["target_id"]})
            matched = catalogue.crossmatch(
                lsdb.from_dataframe(other, margin_threshold=None),
                radius_arcsec=1.0,
                suffix_method="overlapping_columns",
            ).compute()
    assert sorted(map(int, matched["target_id"])) == sorted(some["target_id"])
    assert (matched["target_id"].to_numpy(np.int64) == matched["asked"].to_numpy(np.int64)).all()
    np.testing.assert_allclose(matched["_dist_arcsec"], 0.36, rtol=1e-6)
