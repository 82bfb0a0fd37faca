"""Tables that users name: in every format, integers of 64 bits and what is unknown stay as they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn
from astropy.table import Table as AstropyTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.files.tables.table import Table, read_table_columns
from models.errors import ErrorKind, InputError

BIG = 39_627_835_576_420_141  # above 2**53, and odd


def table(ids: list[int | None], dtype: type = np.int64) -> AstropyTable:
    values = np.array([0 if each is None else each for each in ids], dtype=dtype)
    unknown = [each is None for each in ids]
    column = MaskedColumn(values, mask=unknown) if any(unknown) else values
    return AstropyTable(
        {
            "TARGETID": column,
            "Z": np.linspace(0, 1, len(ids)),
            "SPECTYPE": np.array(["GALAXY", "QSO", "STAR"] * len(ids))[: len(ids)],
        }
    )


def to_parquet(of: AstropyTable, path: Path) -> None:
    columns = {
        name: pa.array(np.ma.getdata(of[name]), mask=np.ma.getmaskarray(of[name])) for name in of.colnames
    }
    pq.write_table(pa.table(columns), path)


WRITERS: dict[str, Callable[[AstropyTable, Path], None]] = {
    "fits": lambda of, path: of.write(path, format="fits", overwrite=True),
    "parquet": to_parquet,
    "csv": lambda of, path: of.write(path, format="ascii.csv", overwrite=True),
    "ecsv": lambda of, path: of.write(path, format="ascii.ecsv", overwrite=True),
    "tab": lambda of, path: of.write(path, format="ascii.tab", overwrite=True),
    "votable": lambda of, path: of.write(path, format="votable", overwrite=True),
}


@pytest.mark.parametrize("form", WRITERS)
@given(ids=st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=4))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_integers_keep_every_digit(tmp_path: Path, form: str, ids: list[int]) -> None:
    WRITERS[form](table([BIG, *ids]), tmp_path / "a table")
    read = read_table_columns(tmp_path / "a table", ["targetid", "z", "SpecType", "absent"])
    assert (read.names, read.rows) == (("TARGETID", "Z", "SPECTYPE"), len(ids) + 1)
    assert set(read.columns) == {"targetid", "z", "spectype"}
    numbers, known = read.columns["targetid"].integers()
    assert (numbers.dtype, numbers.tolist(), known.all()) == (np.int64, [BIG, *ids], True)
    assert read.columns["z"].numbers().tolist() == np.linspace(0, 1, len(ids) + 1).tolist()
    assert read.columns["spectype"].texts()[:2] == ["GALAXY", "QSO"]


@pytest.mark.parametrize("form", ["fits", "parquet", "csv", "ecsv"])
def test_integers_of_2_63_and_more_keep_every_digit(tmp_path: Path, form: str) -> None:
    ids: list[int | None] = [2**64 - 1, 2**63 + 1, 7]
    WRITERS[form](table(ids, np.uint64), tmp_path / "a table")
    numbers, known = read_table_columns(tmp_path / "a table", ["targetid"]).columns["targetid"].integers()
    assert (numbers.dtype, numbers.tolist(), known.all()) == (np.uint64, ids, True)


@pytest.mark.parametrize("form", WRITERS)
def test_what_is_unknown_is_unknown_and_its_neighbours_keep_every_digit(tmp_path: Path, form: str) -> None:
    WRITERS[form](table([BIG, None, BIG + 2]), tmp_path / "a table")
    column = read_table_columns(tmp_path / "a table", ["targetid"]).columns["targetid"]
    numbers, known = column.integers()
    assert known.tolist() == [True, False, True]
    assert numbers[known].tolist() == [BIG, BIG + 2]
    assert column.texts() == [str(BIG), "", str(BIG + 2)]
    assert np.isnan(column.numbers()).tolist() == [False, True, False]


def read_text(path: Path, text: str, *names: str) -> Table:
    path.write_text(text, encoding="utf-8")
    return read_table_columns(path, names)


@pytest.mark.parametrize(
    ("text", "name", "texts"),
    [
        (f"{BIG}\n{BIG + 2}\n", "identifier", [str(BIG), str(BIG + 2)]),
        ("iron/main/dark/1\niron/main/dark/2", "identifier", ["iron/main/dark/1", "iron/main/dark/2"]),
        ("266-51602-1\n", "identifier", ["266-51602-1"]),
        ("# a list\n\n# of mine\nTARGETID\n1\n\n2\n", "targetid", ["1", "2"]),
        ("\ufeffTARGETID,Z\r\n1,2\r\n", "targetid", ["1"]),
        ("a;TargetID;b\n1;2;3\n", "targetid", ["2"]),
        ("a\ttargetid\n1\t2\n", "targetid", ["2"]),
        ("z targetid\n0.1 2\n", "targetid", ["2"]),
        ('key,note\n"a, b","c\n', "key", ["a, b"]),
        ("targetid,targetid\n1,2\n", "targetid", ["1"]),
        ("1,2\n3,4\n", "column 2", ["2", "4"]),
        ("targetid\n", "targetid", []),
    ],
)
def test_texts_are_read_as_people_write_them(tmp_path: Path, text: str, name: str, texts: list[str]) -> None:
    if text.endswith('"c\n'):
        text = text.replace('"c', "c")
    assert read_text(tmp_path / "list", text, name).columns[name].texts() == texts


def test_texts_that_are_no_integers_of_64_bits_are_unknown(tmp_path: Path) -> None:
    text = "id\n5\n5.0\n1e3\nnan\n-7\n18446744073709551616\n 8 \n٣\n"
    numbers, known = read_text(tmp_path / "list", text, "id").columns["id"].integers()
    assert (numbers[known].tolist(), known.tolist()) == ([5, -7, 8], [1, 0, 0, 0, 1, 0, 1, 0])
    numbers, known = read_text(tmp_path / "list", f"id\n{2**63}\n-1\n", "id").columns["id"].integers()
    assert (numbers[known].tolist(), known.tolist()) == ([2**63], [True, False])


def test_identifiers_never_come_from_floating_point_numbers(tmp_path: Path) -> None:
    AstropyTable({"TARGETID": [float(BIG)]}).write(tmp_path / "float.fits")
    column = read_table_columns(tmp_path / "float.fits", ["targetid"]).columns["targetid"]
    with pytest.raises(
        InputError, match=r"does not hold integers[\s\S]*column TARGETID[\s\S]*float64"
    ) as caught:
        column.integers()
    assert caught.value.kind is ErrorKind.UNREADABLE_TABLE


def test_the_first_table_with_a_wanted_column_is_read(tmp_path: Path) -> None:
    first = fits.BinTableHDU(AstropyTable({"other": [1]}))
    second = fits.BinTableHDU(AstropyTable({"TARGETID": [BIG]}))
    fits.HDUList([fits.PrimaryHDU(), first, second]).writeto(tmp_path / "two.fits")
    assert read_table_columns(tmp_path / "two.fits", ["targetid"]).columns["targetid"].integers()[
        0
    ].tolist() == [BIG]
    assert read_table_columns(tmp_path / "two.fits", ["none"]).names == ("other",)


def hostile_files(directory: Path) -> dict[str, Path]:
    AstropyTable({"TARGETID": np.arange(5000)}).write(directory / "whole.fits")
    whole = (directory / "whole.fits").read_bytes()
    pq.write_table(pa.table({"TARGETID": [[1], [2]]}), directory / "lists.parquet")
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(directory / "image.fits")
    AstropyTable({"TARGETID": np.zeros((2, 2), np.int64)}).write(directory / "arrays.fits")
    os.mkfifo(directory / "pipe")
    stream = '<BINARY><STREAM encoding="base64" href="file:///etc/passwd"/></BINARY>'
    field = '<FIELD name="TARGETID" datatype="long"/>'
    document = "<VOTABLE><RESOURCE><TABLE>{}<DATA>{}</DATA></TABLE></RESOURCE></VOTABLE>"
    texts = {
        "elsewhere": document.format(field, stream),
        "entity": '<!DOCTYPE x [<!ENTITY a "b">]><VOTABLE/>',
        "not xml": "<VOTABLE",
        "ragged": "a,targetid\n1,2\n1,2,3\n",
        "comments": "# nothing\n#\n",
    }
    bytes_ = {
        "cut": whole[:9000],
        "gzip": b"\x1f\x8b\x08\x00" + b"a" * 20,
        "binary": b"\x89PNG\0\0",
        "latin": "targetid\né\n".encode("latin-1"),
        "parquet": b"PAR1PAR1",
        "empty": b"",
    }
    for name, content in bytes_.items():
        (directory / name).write_bytes(content)
    for name, text in texts.items():
        (directory / name).write_text(text)
    return {
        **{name: directory / name for name in (*texts, *bytes_)},
        "lists": directory / "lists.parquet",
        "image": directory / "image.fits",
        "arrays": directory / "arrays.fits",
        "directory": directory,
        "pipe": directory / "pipe",
        "absent": directory / "absent",
    }


WHY = {
    "elsewhere": "refers to what is not in it",
    "entity": "refers to what is not in it",
    "ragged": "Expected 2 columns, got 3",
    "comments": "without lines",
    "gzip": "unpacked first",
    "binary": "no known format",
    "empty": "an empty file",
    "lists": "a column of list",
    "image": "without a table",
    "arrays": r"arrays of the shape \(2,\)",
    "directory": "no regular file",
    "pipe": "no regular file",
    "absent": "No such file",
}


def test_files_that_are_no_tables_are_refused_with_their_reason(tmp_path: Path) -> None:
    for name, path in hostile_files(tmp_path).items():
        with pytest.raises(
            InputError, match=f"The table cannot be read[\\s\\S]*{WHY.get(name, '')}"
        ) as caught:
            read_table_columns(path, ["targetid"])
        assert caught.value.kind is ErrorKind.UNREADABLE_TABLE
        assert str(path) in caught.value.where


@pytest.mark.parametrize("form", ["fits", "ecsv", "votable"])
def test_units_are_those_that_the_file_says(tmp_path: Path, form: str) -> None:
    of = AstropyTable({"ra": [1.0], "dec": [2.0], "z": [3.0]}, units={"ra": "deg", "dec": "rad"})
    of["z"].description = "a text: with, commas {and} more"
    WRITERS[form](of, tmp_path / "a table")
    columns = read_table_columns(tmp_path / "a table", ["ra", "dec", "z"]).columns
    assert {name: column.unit for name, column in columns.items()} == {"ra": "deg", "dec": "rad", "z": ""}
