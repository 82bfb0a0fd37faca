"""Table of a file that a user names: the columns that are asked for, whatever the file's format."""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.files.tables.column import Column
from engine.files.tables.contents import Contents
from models.errors import ErrorKind, InputError, WhyspecError

__all__ = ["Column", "Table", "read_table_columns"]

_BEGIN = 512
"""Bytes by which formats are told apart."""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a file.

    Attributes
    ----------
    path : the file.
    names : of all its columns, in order.
    rows : how many it has.
    columns : those that were asked for and are there, by their names in lower case.
    """

    path: Path
    names: tuple[str, ...]
    rows: int
    columns: Mapping[str, Column]


def read_table_columns(path: Path, names: Collection[str]) -> Table:
    """Columns of a table by their names, whatever their case; those that it lacks are left out.

    The format is told from the content: FITS (the first table that has one of the columns), Parquet, VOTable,
    ECSV, or CSV (commas, semicolons, tabs or blanks). Integers of 64 bits keep every digit. A text file whose
    first line has numbers has no names: its only column is called ``identifier``, several ``column 1`` and
    so on.

    Raises
    ------
    InputError : the file cannot be read, or is no such table.
    """
    try:
        contents = _reader(_begin(path))(path, frozenset(name.lower() for name in names))
    except WhyspecError:
        raise
    except Exception as error:  # readers of damaged tables raise errors of all kinds
        raise InputError(
            "The table cannot be read.",
            where=str(path),
            got=str(error) if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {error}",
            allowed="FITS, Parquet, VOTable, ECSV, CSV",
            remedy="Look whether the file is whole, and a table.",
            kind=ErrorKind.UNREADABLE_TABLE,
        ) from error
    columns = {
        name: Column(
            contents.names[place], str(path), values, known, contents.units.get(contents.names[place], "")
        )
        for name, (place, values, known) in contents.columns.items()
    }
    return Table(path, contents.names, contents.rows, columns)


def _begin(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("no regular file")
    with path.open("rb") as file:
        return file.read(_BEGIN)


def _reader(begin: bytes) -> Callable[[Path, frozenset[str]], Contents]:
    if not begin:
        raise ValueError("an empty file")
    # Imported where they are needed: each takes long.
    if begin.startswith(b"SIMPLE  ="):
        from engine.files.tables.fits_table import read_fits

        return read_fits
    if begin.startswith(b"PAR1"):
        from engine.files.tables.parquet_table import read_parquet

        return read_parquet
    if begin.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        from engine.files.tables.votable import read_votable

        return read_votable
    if begin.startswith(b"\x1f\x8b"):
        raise ValueError("a gzip file, which has to be unpacked first")
    if b"\0" in begin:
        raise ValueError("bytes of no known format")
    from engine.files.tables.delimited_table import read_delimited

    return read_delimited
