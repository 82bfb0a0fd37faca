"""Answers as tables of astropy: FITS, VOTable and ECSV, with units and descriptions, identifiers exact."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table
from astropy.units import UnitsWarning

from engine.query.column_meanings import FOREIGN_UNITS, meaning_of, units_of
from models.plain_text import printable

_SPELT = str.maketrans({"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "±": "+-", "Å": "Angstrom"})
_NO_CHARACTERS = {0xFFFE: "\N{REPLACEMENT CHARACTER}", 0xFFFF: "\N{REPLACEMENT CHARACTER}"}


def fits_bytes(frame: pd.DataFrame) -> bytes:
    """A FITS file of one table, see :func:`fits_table`."""
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits_table(frame)]).writeto(content)
    return content.getvalue()


def fits_table(frame: pd.DataFrame, name: str = "") -> fits.BinTableHDU:
    """A FITS table; texts are ASCII, see :func:`ascii_text`; descriptions are in ``TCOMM``.

    Parameters
    ----------
    name : of the table (EXTNAME); empty for none.
    """
    plain = frame.assign(**{each: _ascii(frame[each]) for each in _texts(frame)})
    unit = fits.table_to_hdu(_table(plain))
    if name:
        unit.name = name
    for number, column in enumerate(plain.columns, 1):
        if description := _description(str(column)):
            unit.header[f"TCOMM{number}"] = ascii_text(description)
    return unit


def votable_bytes(frame: pd.DataFrame) -> bytes:
    """A VOTable. Unsigned integers of 64 bits, which the format lacks, are texts of digits."""
    return b"".join(votable_parts([frame]))


def votable_parts(frames: Iterable[pd.DataFrame]) -> Iterator[bytes]:
    """The VOTable of the rows of all frames, which have the same columns, in pieces."""
    begin, end = b"<TABLEDATA>", b"</TABLEDATA>"
    close = b""
    for number, frame in enumerate(frames):
        head, tag, rest = _votable(frame).partition(begin)
        inner, *after = rest.partition(end)
        rows = inner.rstrip()
        close = inner[len(rows) :] + b"".join(after)
        yield rows if number else head + tag + rows
    yield close


def _votable(frame: pd.DataFrame) -> bytes:
    unsigned = [str(name) for name in frame if frame[name].dtype == np.uint64]
    content = io.BytesIO()
    with warnings.catch_warnings():
        # The standard would rather have 0.1 nm than Angstrom; readers know both.
        warnings.simplefilter("ignore", UnitsWarning)
        document = from_table(_described(frame.astype(dict.fromkeys(unsigned, "str"))))
        for field in document.get_first_table().fields:
            if field.datatype == "unicodeChar":
                field.arraysize = "*"  # whatever is longest in these rows
        document.to_xml(content)
    return content.getvalue()


def ecsv_bytes(frame: pd.DataFrame) -> bytes:
    """An ECSV table with commas, which readers of CSV take too."""
    content = io.StringIO()
    _described(frame).write(content, format="ascii.ecsv", delimiter=",")
    return content.getvalue().encode("utf-8", "backslashreplace")


def _described(frame: pd.DataFrame) -> Table:
    texts = {name: [_allowed(str(text)) for text in frame[name]] for name in _texts(frame)}
    table = _table(frame.assign(**texts))
    for name in table.colnames:
        table[name].description = _description(name) or None
    return table


def _allowed(text: str) -> str:
    """Without what XML does not allow."""
    return printable(text).translate(_NO_CHARACTERS)


def _table(frame: pd.DataFrame) -> Table:
    return Table({str(name): _column(frame[name]) for name in frame}, units=units_of(frame))


def _column(column: pd.Series) -> Any:
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return np.array([str(text) for text in column], dtype=np.str_)
    if pd.api.types.is_extension_array_dtype(column.dtype):
        # astropy writes the fill value as TNULL.
        return MaskedColumn(column.fillna(-1).to_numpy(), mask=column.isna().to_numpy(), fill_value=-1)
    return column.to_numpy()


def _description(name: str) -> str:
    meaning = meaning_of(name)
    return f"{meaning.description} [{meaning.unit}]" if meaning.unit in FOREIGN_UNITS else meaning.description


def _texts(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame if not pd.api.types.is_numeric_dtype(frame[name].dtype)]


def _ascii(column: pd.Series) -> list[str]:
    return [ascii_text(str(text)) for text in column]


def ascii_text(text: str) -> str:
    """A text in ASCII: Greek letters are spelt, others escaped."""
    return text.translate(_SPELT).encode("ascii", "backslashreplace").decode()
