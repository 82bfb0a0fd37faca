"""FITS tables: columns of the first table that has one of those that are wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from engine.files.tables.contents import Contents, places_of, plain


def read_fits(path: Path, wanted: frozenset[str]) -> Contents:
    """Raises whatever astropy raises for a damaged file, and ValueError for one without tables."""
    with fits.open(path, memmap=True) as units:
        tables = [unit for unit in units if isinstance(unit, fits.BinTableHDU | fits.TableHDU)]
        if not tables:
            raise ValueError("a FITS file without a table")
        table = next((each for each in tables if places_of(each.columns.names, wanted)), tables[0])
        names = tuple(table.columns.names)
        rows = int(table.header["NAXIS2"])
        columns = {name: _column(table, place) for name, place in places_of(names, wanted).items()}
        units = {column.name: column.unit for column in table.columns if column.unit}
    return Contents(names, rows, columns, units)


def _column(table: Any, place: int) -> tuple[int, Any, Any]:
    values = plain(table.data.field(place))
    null = table.columns[place].null
    known = np.ones(len(values), dtype=np.bool_)
    if values.dtype.kind in "iu" and isinstance(null, int):
        known = values != null
    return place, values, known
