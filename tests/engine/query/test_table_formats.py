"""Formats of tables: every value comes back as it was written."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import fitsio
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from engine.query.column_meanings import Meaning, meaning_of
from engine.query.query import COLUMNS
from engine.query.table_formats import TableFormat, chosen_format, to_json, write_table
from engine.query.target_list import read_target_list
from engine.query.text_table import text_table
from models.errors import ConfigurationError

BIG = 3_963_355_946_339_728_201


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": ["iron/main/bright/1", "", 'with "quotes", commas\nand é'],
            "target_id": np.array([BIG, BIG + 1, BIG + 2], np.int64),
            "redshift": [0.1 + 0.2, np.nan, 1e-9],
            "score": np.array([0.1, np.nan, 12.345678], np.float32),
            "line": ["Hα", "", "[O III] 5008"],
            "place_wavelength": [6564.61, np.nan, 5008.24],
            "cluster": pd.array([3, pd.NA, 0], dtype="Int32"),
            "status": ["scored", "not_in_store", "scored"],
            "gone": [False, False, True],
        }
    )


HEADINGS = "key z class score prob. S/N cause prob. [Å] [Å] line [Å] flux sigma cluster status gone"


def whole(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with all columns of a query's answer, those that it lacks without a word in them."""
    texts = ("spectype", "model", "cause", "other_class", "estimates", "flux", "cautions", "tiles")
    silent = {name: "" if name in texts else np.nan for name in COLUMNS if name not in frame}
    return frame.assign(**silent)


def test_csv_keeps_every_digit(frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(frame, "csv")
    back = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [int(row["target_id"]) for row in back] == frame["target_id"].tolist()
    assert [float(row["redshift"] or "nan") for row in back[::2]] == frame["redshift"].tolist()[::2]
    assert [np.float32(row["score"]) for row in back[::2]] == frame["score"].tolist()[::2]
    assert back[1]["redshift"] == back[1]["cluster"] == ""
    assert back[2]["key"] == frame["key"].iloc[2]


def test_json_keeps_every_digit_even_for_readers_with_floats_only(frame: pd.DataFrame) -> None:
    records = json.loads(to_json(frame), parse_int=float)
    assert [int(record["target_id"]) for record in records] == frame["target_id"].tolist()
    assert records[0]["redshift"] == 0.1 + 0.2
    assert np.float32(records[2]["score"]) == frame["score"].iloc[2]
    assert records[0]["score"] == 0.1  # shortest that reads back, not 0.10000000149011612
    assert records[1]["redshift"] is None
    assert records[1]["cluster"] is None
    assert records[2]["key"] == frame["key"].iloc[2]
    assert json.loads(to_json(frame.head(0))) == []


def test_parquet_keeps_types(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_table(frame, "parquet", tmp_path / "odd.parquet")
    table = pq.read_table(tmp_path / "odd.parquet")
    assert str(table.schema.field("target_id").type) == "int64"
    assert str(table.schema.field("score").type) == "float"
    assert table["target_id"].to_pylist() == frame["target_id"].tolist()
    assert table["cluster"].to_pylist() == [3, None, 0]


def test_fits_keeps_types_and_says_units(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_table(frame, "fits", tmp_path / "odd.fits")
    table = Table.read(tmp_path / "odd.fits")
    assert table.colnames == list(frame.columns)
    assert table["target_id"].dtype == np.dtype(">i8")
    assert table["target_id"].tolist() == frame["target_id"].tolist()
    assert table["score"].dtype == np.dtype(">f4")
    assert table["score"].tolist()[::2] == frame["score"].tolist()[::2]
    assert str(table["place_wavelength"].unit) == "Angstrom"
    assert table["cluster"].tolist() == [3, None, 0]
    # FITS knows ASCII alone.
    assert table["line"].tolist() == ["Halpha", "", "[O III] 5008"]
    assert table["key"].tolist()[2] == 'with "quotes", commas\nand \\xe9'
    assert table["gone"].tolist() == [False, False, True]
    assert (
        fitsio.read(str(tmp_path / "odd.fits"), columns="target_id").tolist() == table["target_id"].tolist()
    )
    write_table(frame.head(0), "fits", tmp_path / "odd.fits")
    assert len(Table.read(tmp_path / "odd.fits")) == 0


def test_fits_keeps_ids_above_2_63(frame: pd.DataFrame, tmp_path: Path) -> None:
    ids = np.array([2**63 + 1, 2**64 - 1, 7], np.uint64)
    write_table(frame.assign(target_id=ids), "fits", tmp_path / "odd.fits")
    assert Table.read(tmp_path / "odd.fits")["target_id"].tolist() == ids.tolist()


def test_json_has_every_integer_that_others_would_round_as_text(frame: pd.DataFrame) -> None:
    more = frame.assign(healpix_29=[5, 6, 7], row=np.array([1, 2**53 + 1, 3], np.int64))
    records = json.loads(to_json(more))
    assert [record["healpix_29"] for record in records] == ["5", "6", "7"]
    assert [record["row"] for record in records] == [1, str(2**53 + 1), 3]


@pytest.mark.parametrize("name", ["odd.vot", "odd.ecsv"])
@pytest.mark.filterwarnings("ignore:The unit 'Angstrom'")
def test_votable_and_ecsv_keep_types_units_and_descriptions(
    frame: pd.DataFrame, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    write_table(frame, chosen_format(None, path), path)
    table = Table.read(path)
    assert table.colnames == list(frame.columns)
    assert (table["target_id"].dtype, table["target_id"].tolist()) == (np.int64, frame["target_id"].tolist())
    assert (table["score"].dtype, table["score"].tolist()[::2]) == (
        np.float32,
        frame["score"].tolist()[::2],
    )
    assert table["redshift"].tolist()[::2] == frame["redshift"].tolist()[::2]
    assert table["cluster"].tolist() == [3, None, 0]
    assert table["gone"].tolist() == [False, False, True]
    assert [text or "" for text in table["line"].tolist()] == frame["line"].tolist()
    assert table["key"][2] == frame["key"][2]
    assert str(table["place_wavelength"].unit) == "Angstrom"
    assert table["redshift"].description == "redshift of the survey's pipeline"
    write_table(frame.head(0), chosen_format(None, path), path)
    assert len(Table.read(path)) == 0


@pytest.mark.filterwarnings("ignore:The unit 'Angstrom'")
def test_votable_and_ecsv_keep_ids_above_2_63_and_show_control_characters(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    ids = np.array([2**63 + 1, 2**64 - 2, 7], np.uint64)
    hostile = frame.assign(target_id=ids, key=["\x1b[31m", "]]>&<b>\uffff", "\u202e"])
    for name in ("odd.vot", "odd.ecsv"):
        write_table(hostile, chosen_format(None, tmp_path / name), tmp_path / name)
        table = Table.read(tmp_path / name)
        assert [int(each) for each in table["target_id"]] == ids.tolist()
        assert table["key"].tolist() == [
            "␛[31m",
            "]]>&<b>\N{REPLACEMENT CHARACTER}",
            "\N{REPLACEMENT CHARACTER}",
        ]
        assert read_target_list(tmp_path / name).values.view(np.uint64).tolist() == ids.tolist()


def test_fits_and_parquet_say_what_columns_mean(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_table(frame, "fits", tmp_path / "odd.fits")
    header = fits.getheader(tmp_path / "odd.fits", 1)
    place = list(frame).index("place_wavelength") + 1
    assert header[f"TCOMM{place}"] == meaning_of("place_wavelength").description
    write_table(frame, "parquet", tmp_path / "odd.parquet")
    assert pq.read_schema(tmp_path / "odd.parquet").field("place_wavelength").metadata == {
        b"unit": b"Angstrom",
        b"description": meaning_of("place_wavelength").description.encode(),
    }
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "odd.parquet"), frame)


def test_every_column_of_an_answer_has_a_meaning() -> None:
    assert [name for name in COLUMNS if not meaning_of(name).description] == []
    assert meaning_of("estimate_velocity_error").unit == "km/s"
    assert meaning_of("nobody's") == Meaning("", "")


def test_the_table_is_for_people(frame: pd.DataFrame) -> None:
    lines = text_table(whole(frame), None).splitlines()
    assert lines[1].split() == HEADINGS.split()
    assert f"TARGETID {BIG + 1}" in lines[3]
    assert lines[2].split()[:3] == ["iron/main/bright/1", "0.3000", "0.10"]
    assert [word for word in lines[2].split() if word in ("6564.6", "Hα")] == ["6564.6", "Hα"]
    assert "nan" not in "".join(lines).lower()
    assert lines[-1] == "2 spectra, 1 not in the store"


def test_columns_that_say_nothing_are_left_out(frame: pd.DataFrame) -> None:
    dull = whole(frame).assign(status="scored", gone=False, cluster=pd.NA, model="desi-galaxy")
    heading = text_table(dull, None).splitlines()[1].split()
    assert heading == HEADINGS.split()[:-3]
    telling = dull.assign(cautions=["edge sky_lines", "", ""], model=["a", "b", ""])
    told = text_table(telling, None).splitlines()[1].split()
    assert told == [*heading[:3], "model", *heading[3:], "cautions"]


def test_other_columns_are_shown_beside_the_usual_ones_and_chosen_ones_alone(frame: pd.DataFrame) -> None:
    more = text_table(whole(frame).assign(fiber=[7, 8, 9]), None).splitlines()
    assert more[1].split() == [*HEADINGS.split(), "fiber"]
    chosen = text_table(frame[["target_id", "redshift", "line"]].assign(fiber=[7, 8, 9]), None).splitlines()
    assert [line.split() for line in chosen] == [
        ["target_id", "z", "line", "fiber"],
        [str(BIG), "0.3000", "Hα", "7"],
        [str(BIG + 1), "–", "8"],
        [str(BIG + 2), "0.0000", "[O", "III]", "5008", "9"],
        ["3", "spectra"],
    ]
    narrow = text_table(frame[["target_id", "redshift", "line"]], 25).splitlines()
    assert narrow[0].split() == ["target_id"]
    assert narrow[-1] == "Not shown: z, line. A wider terminal shows more, --format csv all."


@pytest.mark.parametrize("width", [20, 40, 60, 80, 240])
def test_columns_are_chosen_by_width_and_nothing_is_folded(frame: pd.DataFrame, width: int) -> None:
    frame = frame.assign(key=[f"iron/main/bright/{BIG + place}" for place in range(3)])
    lines = text_table(whole(frame), width).splitlines()
    rows = lines[2:5] if width > 60 else lines[1:4]
    assert [row.split()[0] for row in rows] == frame["key"].tolist()
    assert max(map(len, rows)) <= max(width, len(f"{frame['key'][0]}  12.35"))
    assert all("12.35" in row for row in rows[2:])
    assert ("Not shown: " in lines[-1]) == (width < 200)


def test_files_are_written_as_utf8(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_table(frame, "json", tmp_path / "odd.json")
    assert "é" in (tmp_path / "odd.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("asked", "name", "chosen"),
    [
        (None, None, "table"),
        ("csv", None, "csv"),
        (None, "odd.fits", "fits"),
        (None, "odd.CSV", "csv"),
        (None, "odd.txt", "table"),
        (None, "odd.vot", "votable"),
        (None, "odd.ecsv", "ecsv"),
        ("json", "odd.json", "json"),
        ("csv", "odd.dat", "csv"),
        ("parquet", "/dev/stdout", "parquet"),
    ],
)
def test_the_files_name_says_the_format(
    asked: TableFormat | None, name: str | None, chosen: TableFormat
) -> None:
    assert chosen_format(asked, Path(name) if name else None) == chosen


@pytest.mark.parametrize(
    ("asked", "name", "text"),
    [
        (None, "odd.fts", "does not say which format"),
        (None, "odd", "ends in nothing"),
        (None, "odd.csv.gz", r"ends in \.gz"),
        ("csv", "odd.fits", r"another format[\s\S]*ends in \.fits for csv"),
        ("table", "odd.parquet", "another format"),
        ("fits", None, r"binary[\s\S]*-o FILE\.fits"),
        ("parquet", None, r"binary[\s\S]*-o FILE\.parquet"),
    ],
)
def test_what_contradicts_itself_is_refused(asked: TableFormat | None, name: str | None, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        chosen_format(asked, Path(name) if name else None)
