"""Held table: the columns of a table that a user has in memory, of pandas or astropy."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.files.tables.arrow_column import values_of
from engine.files.tables.column import Column
from engine.files.tables.contents import places_of, plain
from engine.files.tables.table import Table
from models.errors import ErrorKind, InputError

HELD = Path("the table in memory")
"""What stands for its path."""


def held_table(given: Any, wanted: Collection[str]) -> Table:
    """Columns of a pandas frame or an astropy table by their names, whatever their case.

    Raises
    ------
    InputError : it is neither, or a column holds neither numbers nor texts.
    """
    is_frame = isinstance(given, pd.DataFrame)
    if not is_frame and not hasattr(given, "colnames"):
        raise _unreadable(type(given).__name__)
    names = tuple(map(str, given.columns if is_frame else given.colnames))
    of = _of_pandas if is_frame else _of_astropy
    places = places_of(names, frozenset(name.lower() for name in wanted))
    try:
        columns = {name: of(given, names[place], place) for name, place in places.items()}
    except (ValueError, TypeError, AttributeError, pa.ArrowException) as error:
        raise _unreadable(str(error)) from error
    return Table(HELD, names, len(given), columns)


def _of_pandas(given: pd.DataFrame, name: str, place: int) -> Column:
    column = pa.Array.from_pandas(given.iloc[:, place])
    return Column(name, str(HELD), *values_of(pa.chunked_array([column])))


def _of_astropy(given: Any, name: str, place: int) -> Column:
    column = given.columns[place]
    values = column.value  # of a quantity, too
    unit = str(column.unit) if column.unit else ""
    return Column(name, str(HELD), plain(np.ma.getdata(values)), ~np.ma.getmaskarray(values), unit)


def _unreadable(got: str) -> InputError:
    return InputError(
        "The table cannot be read.",
        where=str(HELD),
        got=got,
        allowed="a pandas DataFrame or an astropy Table with columns of numbers or texts; or a file's path",
        remedy="Give one of these.",
        kind=ErrorKind.UNREADABLE_TABLE,
    )
