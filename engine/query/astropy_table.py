"""Answers as tables of astropy: FITS, VOTable and ECSV, with units and descriptions, identifiers exact."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.units import UnitsWarning

from engine.query.column_meanings import FOREIGN_UNITS, meaning_of, units_of
from models.plain_text import printable

_SPELT = str.maketrans({"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "±": "+-", "Å": "Angstrom"})
_NO_CHARACTERS = {0xFFFE: "\N{REPLACEMENT CHARACTER}", 0xFFFF: "\N{REPLACEMENT CHARACTER}"}


def fits_bytes(frame: pd.DataFrame) -> bytes:
    """A FITS table; texts are ASCII, Greek letters spelt, others escaped; descriptions are in ``TCOMM``."""
    plain = frame.assign(**{name: _ascii(frame[name]) for name in _texts(frame)})
    unit = fits.table_to_hdu(_table(plain))
    for number, name in enumerate(plain.columns, 1):
        if description := _description(str(name)):
            unit.header[f"TCOMM{number}"] = _spelt(description)
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(content)
    return content.getvalue()


def votable_bytes(frame: pd.DataFrame) -> bytes:
    """A VOTable. Unsigned integers of 64 bits, which the format lacks, are texts of digits."""
    unsigned = [str(name) for name in frame if frame[name].dtype == np.uint64]
    content = io.BytesIO()
    with warnings.catch_warnings():
        # The standard would rather have 0.1 nm than Angstrom; readers know both.
        warnings.simplefilter("ignore", UnitsWarning)
        _described(frame.astype(dict.fromkeys(unsigned, "str"))).write(content, format="votable")
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
    return [_spelt(str(text)) for text in column]


def _spelt(text: str) -> str:
    return text.translate(_SPELT).encode("ascii", "backslashreplace").decode()
