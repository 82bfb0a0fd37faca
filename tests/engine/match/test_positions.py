"""Positions of a user's table: by usual names and stated units; what cannot be read is refused or counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from engine.files.tables.table import read_table_columns
from engine.match.positions import PAIRS, Positions, positions_of
from models.errors import ErrorKind, InputError

WANTED = {"mine", "other", *(name for pair in PAIRS for name in pair)}
WRITERS = {"fits": "fits", "ecsv": "ascii.ecsv", "votable": "votable", "parquet": "parquet"}


def read(path: Path, ra: str = "", dec: str = "") -> Positions:
    return positions_of(read_table_columns(path, WANTED), ra, dec)


def text(tmp_path: Path, content: str, ra: str = "", dec: str = "") -> Positions:
    (tmp_path / "table").write_text(content, encoding="utf-8")
    return read(tmp_path / "table", ra, dec)


@pytest.mark.parametrize("form", ["fits", "ecsv", "votable"])
@pytest.mark.parametrize(
    ("unit", "scale"), [("deg", 1.0), ("hourangle", 15.0), ("rad", np.degrees(1.0)), (None, 1.0)]
)
def test_numbers_are_read_by_the_unit_that_the_file_says(
    tmp_path: Path, form: str, unit: str | None, scale: float
) -> None:
    if form == "fits" and unit == "hourangle":
        unit = "h"  # as FITS spells it
    ra, dec = np.array([1.5, 2.0]), np.array([-1.25, 0.5])
    degrees = np.degrees(1.0) if unit == "rad" else 1.0
    table = Table({"RAJ2000": ra, "DEJ2000": dec}, units={"DEJ2000": "rad" if unit == "rad" else "deg"})
    table["RAJ2000"].unit = unit
    table.write(tmp_path / "table", format=WRITERS[form])
    found = read(tmp_path / "table")
    assert found.columns == ("RAJ2000", "DEJ2000")
    np.testing.assert_allclose(found.ra, ra * scale, rtol=1e-14)
    np.testing.assert_allclose(found.dec, dec * degrees, rtol=1e-14)


def test_parquet_says_units_as_whyspec_and_as_astropy_write_them(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field("ra", pa.float64(), metadata={"unit": "h"}), pa.field("dec", pa.float64())]
    columns = pa.table({"ra": [1.0], "dec": [2.0]}, schema=pa.schema(fields))
    pq.write_table(columns, tmp_path / "own")
    assert read(tmp_path / "own").ra.tolist() == [15.0]
    yaml = "datatype:\n- {name: ra, unit: hourangle, datatype: float64}\n- {name: dec, datatype: float64}\n"
    plain = pa.table({"ra": [1.0], "dec": [2.0]}).replace_schema_metadata({"table_meta_yaml": yaml})
    pq.write_table(plain, tmp_path / "astropy")
    assert read(tmp_path / "astropy").ra.tolist() == [15.0]


def test_sexagesimal_texts_are_read_where_the_file_says_their_unit(tmp_path: Path) -> None:
    (tmp_path / "table").write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: ra, unit: '\"h:m:s\"', datatype: string}\n"
        "# - {name: dec, unit: '\"d:m:s\"', datatype: string}\nra dec\n"
        "10:00:24.0 -02:12:00\n0:00:01 +00:00:00.5\nx 1:2:3\n"
    )
    found = read(tmp_path / "table")
    np.testing.assert_allclose(found.ra[:2], [150.1, 15 / 3600])
    np.testing.assert_allclose(found.dec[:2], [-2.2, 0.5 / 3600])
    assert found.known.tolist() == [True, True, False]


def test_vizier_writes_the_unit_of_sexagesimal_texts_with_quotes(tmp_path: Path) -> None:
    (tmp_path / "table").write_text(
        '<?xml version="1.0"?><VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        '<FIELD name="_RAJ2000" datatype="char" arraysize="*" unit="&quot;h:m:s&quot;"/>'
        '<FIELD name="_DEJ2000" datatype="char" arraysize="*" unit="&quot;d:m:s&quot;"/>'
        "<DATA><TABLEDATA><TR><TD>10 00 24.0</TD><TD>-02 12 00</TD></TR></TABLEDATA></DATA>"
        "</TABLE></RESOURCE></VOTABLE>"
    )
    found = read(tmp_path / "table")
    np.testing.assert_allclose((found.ra, found.dec), ([150.1], [-2.2]))


def test_what_is_not_on_the_sky_is_no_position(tmp_path: Path) -> None:
    found = text(tmp_path, "ra,dec\n10,20\n,20\n10,\nnan,1\n-999,1\n361,1\n-90,1\n10,90.5\n360,-90\nx,y\n")
    assert np.flatnonzero(found.known).tolist() == [0, 6, 8]
    assert np.isnan(found.dec[~found.known]).all()


def test_columns_are_found_by_usual_names_or_as_named(tmp_path: Path) -> None:
    both = "Mine,other,TARGET_RA,TARGET_DEC,RA,DEC\n1,2,3,4,5,6\n"
    assert text(tmp_path, both).columns == ("RA", "DEC")
    assert text(tmp_path, both, "mine", "OTHER").ra.tolist() == [1.0]
    assert text(tmp_path, both.replace(",RA,DEC", ",a,b")).dec.tolist() == [4.0]


def test_hours_without_a_unit_are_suspected(tmp_path: Path) -> None:
    rows = "\n".join(f"{number * 2},{number}" for number in range(12))
    found = text(tmp_path, f"ra,dec\n{rows}\n")
    assert "ra has no unit and is at most 22. It was taken for degrees." in found.remark
    assert text(tmp_path, f"ra,dec\n{rows}\n300,1\n").remark == ""


@pytest.mark.parametrize(
    ("content", "named", "error"),
    [
        ("name,z\na,1\n", ("", ""), r"no columns of positions[\s\S]*got: name, z[\s\S]*raj2000, dej2000"),
        ("RA_hms,DEC_dms\n1,1\n", ("", ""), r"Did you mean RA_hms, DEC_dms\? Name them with --ra and --dec"),
        ("ra,dec\n1,1\n", ("alpha", "dec"), r"no columns of these names[\s\S]*got: alpha, dec"),
        ("ra,dec\n10:00:24,1\n", ("", ""), r"texts that are no numbers[\s\S]*got: 10:00:24[\s\S]*h:m:s"),
        (
            "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: ra, unit: mas, datatype: float64}\nra dec\n1 2\n",
            ("", ""),
            r"unit of a column of positions is not understood[\s\S]*column ra[\s\S]*got: mas",
        ),
        (
            "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: dec, unit: hourangle}\nra dec\n1 2\n",
            ("", ""),
            r"column dec\n  got: hourangle",
        ),
    ],
)
def test_tables_without_positions_are_refused(
    tmp_path: Path, content: str, named: tuple[str, str], error: str
) -> None:
    with pytest.raises(InputError, match=error) as caught:
        text(tmp_path, content, *named)
    assert caught.value.kind is ErrorKind.MATCH_TABLE
