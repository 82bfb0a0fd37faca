"""Tables in memory: pandas and astropy say the same as their files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table

from engine.files.tables.held_table import held_table
from models.errors import ErrorKind, InputError

BIG = 39_627_835_576_420_141


def test_a_frame_keeps_digits_and_what_is_unknown() -> None:
    frame = pd.DataFrame(
        {
            "TARGETID": pd.array([BIG, None], "Int64"),
            "ra": [1.5, np.nan],
            "kind": ["a", None],
            "mine": [[1], []],
        }
    )
    table = held_table(frame, {"targetid", "RA", "kind", "absent"})
    assert (table.names, table.rows, set(table.columns)) == (
        ("TARGETID", "ra", "kind", "mine"),
        2,
        {"targetid", "ra", "kind"},
    )
    numbers, known = table.columns["targetid"].integers()
    assert (numbers[0], known.tolist()) == (BIG, [True, False])
    np.testing.assert_array_equal(table.columns["ra"].numbers(), [1.5, np.nan])
    assert table.columns["kind"].texts() == ["a", ""]


@pytest.mark.parametrize("kind", [Table, QTable])
def test_an_astropy_table_has_units(kind: type[Table]) -> None:
    given = kind({"ra": [1.0, 2.0] * u.hourangle, "dec": [3.0, 4.0] * u.deg})
    given["TARGETID"] = MaskedColumn([BIG, 0], mask=[False, True])
    table = held_table(given, {"ra", "dec", "targetid"})
    assert [table.columns[name].unit for name in ("ra", "dec", "targetid")] == ["hourangle", "deg", ""]
    assert table.columns["ra"].numbers().tolist() == [1.0, 2.0]
    numbers, known = table.columns["targetid"].integers()
    assert (numbers[0], known.tolist()) == (BIG, [True, False])


@pytest.mark.parametrize(
    "given", [{"ra": [1]}, [1, 2], pd.DataFrame({"ra": [[1], [2]]}), Table({"ra": np.ones((2, 3))})]
)
def test_anything_else_is_refused(given: object) -> None:
    with pytest.raises(InputError, match="The table cannot be read") as caught:
        held_table(given, {"ra"})
    assert caught.value.kind is ErrorKind.UNREADABLE_TABLE
