"""Target lists: each target once, exactly, whatever the table; what has none is counted and shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.query.target_list import TargetList, read_target_list
from engine.surveys.desi.survey import DESI
from engine.surveys.identifiers import stored_identifier
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ErrorKind, InputError

BIG = 39_627_835_576_420_141


def read(path: Path, text: str, column: str | None = None) -> TargetList:
    path.write_text(text, encoding="utf-8")
    return read_target_list(path, column)


@given(ids=st.lists(st.integers(1, 2**64 - 2), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_identifiers_are_those_of_stores_each_once_in_order(tmp_path: Path, ids: list[int]) -> None:
    targets = read(tmp_path / "list.csv", "SPECOBJID\n" + "\n".join(map(str, [*ids, *ids])) + "\n")
    stored = [stored_identifier(SDSS_GRID, each) for each in dict.fromkeys(ids)]
    assert targets.values.tolist() == stored
    assert (targets.named_by, targets.rows, targets.skipped, len(targets)) == (
        "target_id",
        2 * len(ids),
        0,
        len(stored),
    )


@pytest.mark.parametrize(
    ("text", "column", "named_by", "count"),
    [
        (f"z,TARGETID\n0,{BIG}\n1,{BIG + 1}\n", "TARGETID", "target_id", 2),
        (f"key,target_id\na/1,{BIG}\na/2,{BIG}\n", "target_id", "target_id", 1),
        ("Key\niron/main/dark/1/2\niron/main/dark/1/3\n", "Key", "key", 2),
        (f"{BIG}\n", "identifier", "target_id", 1),
        ("iron/main/dark/1\n", "identifier", "key", 1),
        ("266-51602-1\n266-51602-2\n0266-51602-0002\n", "identifier", "plate-mjd-fiber", 2),
        ("PLATE,MJD,FIBERID,z\n266,51602,1,0.1\n", "PLATE, MJD, FIBERID", "plate-mjd-fiber", 1),
        ("plate-mjd-fiber\n266-51602-1\n", "plate-mjd-fiber", "plate-mjd-fiber", 1),
    ],
)
def test_the_column_is_found_by_its_usual_names(
    tmp_path: Path, text: str, column: str, named_by: str, count: int
) -> None:
    targets = read(tmp_path / "list", text)
    assert (targets.column, targets.named_by, len(targets), targets.skipped) == (column, named_by, count, 0)


def test_a_named_column_comes_first(tmp_path: Path) -> None:
    text = f"targetid,Mine,name\n1,{BIG},a/b\n"
    assert read(tmp_path / "list", text, "mine").values.tolist() == [BIG]
    assert read(tmp_path / "list", text, "NAME").values.tolist() == ["a/b"]
    assert read(tmp_path / "list", "my_ids\n266-51602-3\n", "my_ids").values.tolist() == [[266, 51602, 3]]


def test_a_survey_says_what_tables_call_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joint = {"plate": ("field",), "source_row": ("place",)}
    lyra = replace(DESI, name="lyra", identifier_names=("number",), joint_name=joint)
    monkeypatch.setattr("engine.surveys.row_names.SURVEYS", [DESI, lyra])
    assert read(tmp_path / "list", "z,Number\n0,5\n").values.tolist() == [5]
    for text in ("field,place\n11,4\n-1,4\n", "plate-source_row\n11-4\nx\n"):
        targets = read(tmp_path / "list", text)
        assert (targets.named_by, targets.values.tolist(), targets.skipped) == (
            "plate-source_row",
            [[11, 4]],
            1,
        )
    with pytest.raises(InputError, match="identifiers or spectrum keys or plate-source_row"):
        read(tmp_path / "list", "number\n\n")


def test_numbers_that_no_row_can_hold_name_nothing(tmp_path: Path) -> None:
    targets = read(tmp_path / "list", f"plate,mjd,fiber\n1,2,3\n{2**31},2,3\n")
    assert (targets.values.tolist(), targets.skipped) == ([[1, 2, 3]], 1)


def test_rows_without_an_identifier_are_counted_and_shown(tmp_path: Path) -> None:
    targets = read(tmp_path / "list", f"targetid,z\n{BIG},1\n,2\n1e17,3\n-1,4\n{BIG},5\n")
    assert (targets.rows, targets.skipped, targets.values.tolist()) == (5, 3, [BIG])
    assert str(targets) == (
        f"{tmp_path / 'list'}: 5 rows, 1 different values of targetid. "
        "3 rows have none, such as '', '1e17', '-1'."
    )
    fibres = read(tmp_path / "list", "plate,mjd,fiber\n1,2,3\n1,,3\n-1,2,3\n")
    assert (fibres.values.tolist(), fibres.skipped, fibres.examples) == ([[1, 2, 3]], 2, ("1--3", "-1-2-3"))


@pytest.mark.parametrize(
    ("text", "column", "error"),
    [
        ("ra,dec\n1,2\n", None, r"no column of identifiers[\s\S]*got: ra, dec[\s\S]*targetid"),
        ("TARGETTID,dec\n1,2\n", None, "Did you mean TARGETTID"),
        ("targetid,dec\n1,2\n", "targetids", r"no column of that name[\s\S]*Did you mean targetid"),
        ("plate,mjd\n1,2\n", None, "no column of identifiers"),
        ("targetid\nx\ny\n", "targetid", r"No row[\s\S]*2 rows, such as x, y"),
        ("targetid\n", None, r"No row[\s\S]*0 rows"),
    ],
)
def test_tables_without_targets_are_refused(
    tmp_path: Path, text: str, column: str | None, error: str
) -> None:
    with pytest.raises(InputError, match=error) as caught:
        read(tmp_path / "list", text, column)
    assert caught.value.kind is ErrorKind.TARGET_LIST


def test_conditions_find_what_the_lists_name(tmp_path: Path) -> None:
    Table({"SPECOBJID": np.array([2**63 + 5, 7], np.uint64)}).write(tmp_path / "ids.fits")
    lists = [
        read_target_list(tmp_path / "ids.fits"),
        read(tmp_path / "keys", "key\nb\nit's\n"),
        read(tmp_path / "fibres", "1-2-3\n1-2-4\n"),
    ]
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE spectra AS SELECT * FROM (VALUES (?, 'a', 1, 2, 3), (7::BIGINT, 'b', 1, 2, 5), "
            "(8::BIGINT, 'it''s', -1, -1, -1)) rows (target_id, key, plate, mjd, fiber)",
            [2**63 + 5 - 2**64],
        )
        found = [
            connection.execute(
                f"SELECT key FROM spectra WHERE {each.condition().sql} ORDER BY key",  # noqa: S608 - tested
                list(each.condition().parameters),
            ).fetchall()
            for each in lists
        ]
    assert found == [[("a",), ("b",)], [("b",), ("it's",)], [("a",)]]
