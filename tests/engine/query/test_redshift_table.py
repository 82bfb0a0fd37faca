"""Tables of redshifts that a user gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from engine.query.redshift_table import read_redshift_table
from models.errors import InputError

LARGE = 39_633_559_463_397_283


@pytest.mark.parametrize("name", ["t.fits", "t.csv", "t.ecsv", "t.parquet"])
def test_any_format_says_the_same(tmp_path: Path, name: str) -> None:
    table = Table({"TARGETID": np.array([LARGE, 5]), "Z": [0.25, 1.5], "SPECTYPE": ["qso", ""]})
    if name == "t.parquet":
        table.to_pandas().to_parquet(tmp_path / name)
    else:
        table.write(tmp_path / name)
    found = read_redshift_table(tmp_path / name)
    assert dict(found.values) == {LARGE: (0.25, "QSO"), 5: (1.5, "")}
    assert (found.named_by, found.skipped, len(found)) == ("target_id", 0, 2)
    turned = tmp_path / "turned.csv"
    turned.write_text(f"z,class,target_id\n1.5,,5\n0.25,QSO,{LARGE}\n")
    assert read_redshift_table(turned).digest == found.digest


@pytest.mark.parametrize(
    ("text", "named_by", "name"),
    [
        ("plate,mjd,fiberid,z\n266,51602,17,0.1\n", "plate-mjd-fiber", (266, 51602, 17)),
        ("plate-mjd-fiber,redshift\n0266-51602-0017,0.1\n", "plate-mjd-fiber", (266, 51602, 17)),
        ("key,z\niron/main/dark/1/5,0.1\n", "key", "iron/main/dark/1/5"),
        (f"specobjid,z\n{2**64 - 5},0.1\n", "target_id", -5),
    ],
)
def test_names_of_every_kind(tmp_path: Path, text: str, named_by: str, name: object) -> None:
    (tmp_path / "t.csv").write_text(text)
    found = read_redshift_table(tmp_path / "t.csv")
    assert (found.named_by, dict(found.values)) == (named_by, {name: (0.1, "")})


def test_rows_that_say_nothing_are_skipped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("targetid,z\n5,0.1\n6,nan\n7,\n-3,0.2\n8,-9.0\n5,0.1\n")
    found = read_redshift_table(tmp_path / "t.csv")
    assert dict(found.values) == {5: (0.1, "")}
    assert found.skipped == 4


@pytest.mark.parametrize(
    ("text", "what", "got"),
    [
        ("targetid,z\n5,0.1\n5,0.2\n", "two redshifts or classes", "0.1 and 0.2"),
        ("targetid,z,class\n5,0.1,QSO\n5,0.1,STAR\n", "two redshifts or classes", "0.1 QSO and 0.1 STAR"),
        ("targetid,flux\n5,0.1\n", "lacks a column", "targetid, flux"),
        ("name,z\na,0.1\n", "lacks a column", "name, z"),
        ("targetid,z\n5,x\n6,nan\n", "No row of the table gives a redshift", "2 rows"),
        ("targetid,z,class\n5,0.1,aVeryLongClassName\n", "no name of one", "AVERYLONGCLASSNAME"),
    ],
)
def test_tables_that_make_no_sense_are_refused(tmp_path: Path, text: str, what: str, got: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=what) as caught:
        read_redshift_table(tmp_path / "t.csv")
    assert got in caught.value.got
    assert str(tmp_path) in caught.value.where
