"""Contents of a table's file, as its reader gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UNIT = re.compile(r"\{\s*name: ('[^']*'|[^,}]+), unit: ('[^']*'|[^,}]+)")


@dataclass(frozen=True, eq=False)
class Contents:
    """What :class:`engine.files.tables.table.Table` is made of.

    Attributes
    ----------
    columns : by name in lower case: its place among ``names``, (n,) values and (n,) whether they are known.
    units : by name as the file has it, of the columns whose unit the file says.
    """

    names: tuple[str, ...]
    rows: int
    columns: Mapping[str, tuple[int, NDArray[Any], NDArray[np.bool_]]]
    units: Mapping[str, str] = field(default_factory=dict)


def places_of(names: Sequence[str], wanted: frozenset[str]) -> dict[str, int]:
    """Where the wanted columns are, by name in lower case; of two of the same name the first."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name.lower() in wanted:
            places.setdefault(name.lower(), place)
    return places


def units_in(header: str) -> dict[str, str]:
    """Units by name in a header as ECSV has it, which astropy also puts into Parquet."""
    return {name.strip("'\""): unit.strip("'\"") for name, unit in _UNIT.findall(" ".join(header.split()))}


def plain(values: Any) -> NDArray[Any]:
    """Values as :class:`engine.files.tables.column.Column` has them.

    Raises
    ------
    ValueError : they are none.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"a column of arrays of the shape {array.shape[1:]}")
    match array.dtype.kind:
        case "i":
            return array.astype(np.int64)
        case "u":
            return array.astype(np.uint64)
        case "f":
            return array.astype(np.float64)
        case "b":
            return array.astype(np.bool_)
        case "S" | "U" | "O":
            texts = [each.decode() if isinstance(each, bytes) else str(each) for each in array.tolist()]
            return np.array(texts, dtype=np.object_)
    raise ValueError(f"a column of {array.dtype}")
