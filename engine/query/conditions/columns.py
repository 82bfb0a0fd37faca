"""Columns that conditions may name: their kinds, and the short names that stand for them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class ColumnKind(StrEnum):
    """What a column holds."""

    INTEGER = "integer"
    SINGLE = "float32"
    DOUBLE = "float64"
    TEXT = "text"
    BOOLEAN = "boolean"

    @property
    def is_number(self) -> bool:
        """Whether one can calculate with it."""
        return self in (ColumnKind.INTEGER, ColumnKind.SINGLE, ColumnKind.DOUBLE)


def kind_of(dtype: str) -> ColumnKind:
    """The kind of a column of a NumPy type such as ``int64``, or of ``string``.

    Raises
    ------
    KeyError : there is none.
    """
    return _KINDS[dtype.rstrip("0123456789")] if dtype != "float32" else ColumnKind.SINGLE


_KINDS = {
    "int": ColumnKind.INTEGER,
    "uint": ColumnKind.INTEGER,
    "float": ColumnKind.DOUBLE,
    "bool": ColumnKind.BOOLEAN,
    "string": ColumnKind.TEXT,
    "str": ColumnKind.TEXT,
    "object": ColumnKind.TEXT,
}

SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "z": "redshift",
        "zerr": "redshift_err",
        "class": "spectype",
        "tail": "tail_probability",
        "targetid": "target_id",
        "specobjid": "target_id",
        "deltachi2": "delta_chi2",
        "sn": "snr",
        "instrument": "instrument_probability",
        "wavelength": "place_wavelength",
        "rest_wavelength": "place_rest_wavelength",
        "width": "place_width",
    }
)
"""Names that stand for a column where no column has that very name."""


def column_named(word: str, columns: Mapping[str, ColumnKind]) -> str | None:
    """The column that a word names, whatever its case; None if there is none."""
    for name in (word, word.lower(), SHORT_NAMES.get(word.lower(), "")):
        if name in columns:
            return name
    return None


def nearest_names(word: str, columns: Mapping[str, ColumnKind]) -> list[str]:
    """Names that the word may have been meant for, the nearest first: up to four."""
    short = [name for name, column in SHORT_NAMES.items() if column in columns]
    return difflib.get_close_matches(word.lower(), [*columns, *short], n=4, cutoff=0.6)
