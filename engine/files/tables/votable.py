"""VOTables: columns of the first table of a document."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from astropy.io.votable import parse

from engine.files.tables.contents import Contents, places_of, plain

_ELSEWHERE = re.compile(rb"<!ENTITY|<[^<>]*STREAM[^<>]*\bhref", re.IGNORECASE)
"""What would read other files or servers, or grow without end."""


def read_votable(path: Path, wanted: frozenset[str]) -> Contents:
    """Raises whatever astropy raises for a damaged document, and ValueError for one that refers to others."""
    content = path.read_bytes()
    if _ELSEWHERE.search(content):
        raise ValueError("a document that refers to what is not in it")
    table = parse(io.BytesIO(content), verify="ignore").get_first_table()
    names = tuple(field.name or field.ID for field in table.fields)
    columns = {}
    for name, place in places_of(names, wanted).items():
        column = table.array[table.array.dtype.names[place]]
        columns[name] = (place, plain(column.data), ~np.ma.getmaskarray(column))
    units = {name: str(field.unit) for name, field in zip(names, table.fields, strict=True) if field.unit}
    return Contents(names, len(table.array), columns, units)
