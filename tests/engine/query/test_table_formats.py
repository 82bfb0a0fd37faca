from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from engine.query.table_formats import to_json, write_table
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
            "cluster": pd.array([3, pd.NA, 0], dtype="Int32"),
            "status": ["scored", "not_in_store", "scored"],
        }
    )


def test_csv_keeps_every_digit(frame: pd.DataFrame) -> None:
    stream = io.StringIO()
    write_table(frame, "csv", stream)
    back = list(csv.DictReader(io.StringIO(stream.getvalue())))
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


def test_table_is_for_people(frame: pd.DataFrame) -> None:
    stream = io.StringIO()
    write_table(frame, "table", stream)
    text = stream.getvalue()
    assert "iron/main/bright/1" in text
    assert f"TARGETID {BIG + 1}" in text
    assert "0.3000" in text
    assert "nan" not in text.lower()
    assert "signatures" not in text
    assert text.rstrip().endswith("3 spectra")


def test_signatures_are_shown_where_there_are_any(frame: pd.DataFrame) -> None:
    for signatures, shown in ((["", "", ""], False), (["edge sky_lines", "", ""], True)):
        stream = io.StringIO()
        write_table(frame.assign(signatures=signatures), "table", stream)
        assert ("edge sky_lines" in stream.getvalue()) is shown


def test_files_are_written_as_utf8(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_table(frame, "json", tmp_path / "odd.json")
    assert "é" in (tmp_path / "odd.json").read_text(encoding="utf-8")


def test_standard_output_is_the_default(frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(frame, "csv")
    assert capsys.readouterr().out.startswith("key,target_id,")


def test_bad_formats_say_what_is_allowed(frame: pd.DataFrame) -> None:
    with pytest.raises(ConfigurationError, match="allowed: table, csv, json, parquet"):
        write_table(frame, "xlsx")
    with pytest.raises(ConfigurationError, match=r"-o FILE\.parquet"):
        write_table(frame, "parquet", io.StringIO())
