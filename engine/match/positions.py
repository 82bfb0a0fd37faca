"""Positions of a table's rows, in degrees by the units that the table says."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.files.tables.table import Column, Table
from engine.query.conditions.near import parse_degrees
from models.errors import ConfigurationError, ErrorKind, InputError

PAIRS = (
    ("ra", "dec"),
    ("target_ra", "target_dec"),
    ("plug_ra", "plug_dec"),
    ("mean_fiber_ra", "mean_fiber_dec"),
    ("_raj2000", "_dej2000"),
    ("raj2000", "dej2000"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("ra_j2000", "dec_j2000"),
    ("ra_deg", "dec_deg"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("right_ascension", "declination"),
    ("_ra", "_de"),
)
"""Names of columns that are looked for, in this order, whatever their case."""

_DEGREES = {"": 1.0, "deg": 1.0, "degree": 1.0, "degrees": 1.0, "°": 1.0}
_RADIANS = {"rad": np.degrees(1.0), "radian": np.degrees(1.0), "radians": np.degrees(1.0)}
_HOURS = dict.fromkeys(("h", "hr", "hour", "hours", "hourangle", "15 deg", "15deg"), 15.0)
_SEXAGESIMAL_HOURS = ("h:m:s", "hms", "hh:mm:ss")
_SEXAGESIMAL_DEGREES = ("d:m:s", "dms", "dd:mm:ss")
_NO_NUMBERS = ("", "nan", "null", "none", "-", "--")
"""Texts that stand for nothing."""

_HOURS_OF_A_DAY = 24.0
_FEW = 10


@dataclass(frozen=True, eq=False)
class Positions:
    """Positions of n rows.

    Attributes
    ----------
    columns : names of the two columns.
    ra, dec : (n,) degrees; both NaN where a row has no position on the sky.
    remark : why they may be something else than they are taken for; empty for no reason.
    """

    columns: tuple[str, str]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    remark: str

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n,) whether a row has a position."""
        return np.isfinite(self.ra)


def positions_of(table: Table, ra: str = "", dec: str = "") -> Positions:
    """The positions of a table, ICRS.

    Parameters
    ----------
    ra, dec : columns to take, whatever their case; empty for the first two of :data:`PAIRS`.

    Raises
    ------
    InputError : the table lacks the columns, says a unit that is no angle's, or has sexagesimal texts without
        a unit.
    """
    pairs = ((ra.lower(), dec.lower()),) if ra else PAIRS
    found = next((pair for pair in pairs if set(pair) <= set(table.columns)), None)
    if found is None:
        raise _no_columns(table, (ra, dec) if ra else ())
    columns = table.columns[found[0]], table.columns[found[1]]
    longitude = _degrees(columns[0], _DEGREES | _RADIANS | _HOURS, _SEXAGESIMAL_HOURS, 15.0)
    latitude = _degrees(columns[1], _DEGREES | _RADIANS, (), 1.0)
    on_sky = (longitude >= -180) & (longitude <= 360) & (np.abs(latitude) <= 90)
    return Positions(
        (columns[0].name, columns[1].name),
        np.where(on_sky, longitude, np.nan),
        np.where(on_sky, latitude, np.nan),
        _remark(columns[0], longitude[on_sky]),
    )


def _degrees(
    column: Column, scales: dict[str, float], of_hours: Sequence[str], hour: float
) -> NDArray[np.float64]:
    unit = column.unit.strip().strip("\"'").strip().lower()
    if unit in (*of_hours, *_SEXAGESIMAL_DEGREES):
        return _sexagesimal(column, hour if unit in of_hours else 1.0)
    if unit not in scales:
        raise InputError(
            "The unit of a column of positions is not understood.",
            where=f"{column.where}, column {column.name}",
            got=column.unit,
            allowed=", ".join(filter(None, (*scales, *of_hours, *_SEXAGESIMAL_DEGREES))),
            remedy="Write degrees, or name other columns with --ra and --dec.",
            kind=ErrorKind.MATCH_TABLE,
        )
    numbers = column.numbers()
    if column.values.dtype.kind == "O" and not np.isfinite(numbers).any():
        _refuse_texts(column)
    return numbers * scales[unit]


def _refuse_texts(column: Column) -> None:
    texts = [text for text in column.texts() if text.lower() not in _NO_NUMBERS]
    if texts:
        raise InputError(
            "A column of positions holds texts that are no numbers.",
            where=f"{column.where}, column {column.name}",
            got=", ".join(dict.fromkeys(text[:40] for text in texts[:3])),
            allowed="degrees such as 150.1; sexagesimal texts where the table says the unit h:m:s or d:m:s",
            remedy="Write degrees, or keep units by saving the table as VOTable or ECSV.",
            kind=ErrorKind.MATCH_TABLE,
        )


def _sexagesimal(column: Column, hour: float) -> NDArray[np.float64]:
    return np.array([_one(text, hour) for text in column.texts()], dtype=np.float64)


def _one(text: str, hour: float) -> float:
    try:
        return parse_degrees(text, "position", hour)
    except ConfigurationError:
        return np.nan


def _remark(column: Column, known: NDArray[np.float64]) -> str:
    if column.unit or len(known) < _FEW or known.min() < 0 or known.max() > _HOURS_OF_A_DAY:
        return ""
    return (
        f"{column.name} has no unit and is at most {known.max():.4g}. It was taken for degrees. If it is in "
        "hours, multiply it by 15."
    )


def _no_columns(table: Table, asked: tuple[str, ...]) -> InputError:
    usual = {name for pair in PAIRS for name in pair}
    words = {each.lower() for each in asked} or usual
    near = [name for name in table.names if difflib.get_close_matches(name.lower(), words, n=1)]
    meant = f"Did you mean {', '.join(near[:4])}? " if near else ""
    return InputError(
        "The table has no columns of these names." if asked else "The table has no columns of positions.",
        where=str(table.path),
        got=", ".join(asked) if asked else ", ".join(table.names[:20]),
        allowed=", ".join(table.names[:40]) if asked else "; ".join(map(", ".join, PAIRS)),
        remedy=f"{meant}Name them with --ra and --dec.",
        kind=ErrorKind.MATCH_TABLE,
    )
