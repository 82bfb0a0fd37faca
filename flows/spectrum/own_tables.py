"""Own tables: spectra in CSV, ECSV and Parquet, as people, SPARCL and Data Lab write them.

Long tables have a row for each pixel, and several spectra if a column names them. Wide tables (Parquet) have
a row for each spectrum, with lists in the cells. Columns are known by many names, see
:mod:`flows.spectrum.own_columns`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.files.byte_source import reading
from engine.files.file_systems import open_file_system
from engine.spectra.own_spectrum import OwnSpectrum
from engine.surveys.directory import name_of
from flows.spectrum.own_columns import CLASS, FLUX, IDENTIFIER, REDSHIFT, OwnRead
from models.errors import ErrorKind, InputError

MOST_BYTES = 1 << 31
"""Of a table, which is held in memory."""

Opened = tuple[NDArray[np.int64], Callable[[int], OwnSpectrum]]


def open_table(url: str, how: OwnRead) -> Opened:
    """Identifiers of a table's spectra (-1 for none), and what reads the one of a number.

    Raises
    ------
    InputError : it is no such table, or lacks a column.
    RetryError : the disk or network failed.
    """
    content = _content(url)
    with _decoding(url):
        table = _table(url, content)
    named = {name.lower(): name for name in table}
    flux = next((named[name] for name in FLUX if name in named), None)
    cells = None if flux is None else table[flux]
    if not table or not len(next(iter(table.values()))):
        raise _refused(url, "The table is empty.", "no rows", "Write a row for each pixel below the header.")
    first = None if cells is None else cells[0]
    if isinstance(first, str) and first.lstrip().startswith("["):
        raise _refused(
            url,
            "The cells of a table hold arrays as texts, which most writers cut short.",
            f"{first[:60]}... in column {flux}",
            "Write the table as Parquet.",
        )
    if isinstance(first, list | np.ndarray):
        return _wide(url, table, named, how)
    return _long(url, table, named, how)


def _wide(url: str, table: Mapping[str, Any], named: Mapping[str, str], how: OwnRead) -> Opened:
    """A row for each spectrum."""
    count = len(next(iter(table.values())))
    identifiers = _identifiers(table, named, count)

    def read(number: int) -> OwnSpectrum:
        row = {name: column[number] for name, column in table.items()}
        lists = {name: np.asarray(cell) for name, cell in row.items() if isinstance(cell, list | np.ndarray)}
        return how.of_columns(lists, **_known(url, row, named, number, int(identifiers[number])))

    return identifiers, read


def _long(url: str, table: Mapping[str, Any], named: Mapping[str, str], how: OwnRead) -> Opened:
    """A row for each pixel."""
    count = len(next(iter(table.values()), ()))
    of_pixels = _identifiers(table, named, count)
    each = of_pixels[np.sort(np.unique(of_pixels, return_index=True)[1])]

    def read(number: int) -> OwnSpectrum:
        chosen = of_pixels == each[number]
        columns = {name: column[chosen] for name, column in table.items()}
        constant = {
            name: column[0]
            for name, column in columns.items()
            if len(column) and (np.asarray(column) == column[0]).all()
        }
        return how.of_columns(columns, **_known(url, constant, named, number, int(each[number])))

    return each, read


def _known(
    url: str, row: Mapping[str, Any], named: Mapping[str, str], number: int, identifier: int
) -> dict[str, Any]:
    """What a table says of a spectrum beside its pixels."""

    def said(names: tuple[str, ...]) -> Any:
        return next((row[named[name]] for name in names if named.get(name) in row), None)

    redshift, spectral_class = said(REDSHIFT), said(CLASS)
    number_of = pd.to_numeric(redshift, errors="coerce") if redshift is not None else np.nan
    return {
        "redshift": float(number_of),
        "spectral_class": spectral_class if isinstance(spectral_class, str) else "",
        "key": f"{name_of(url)}/{identifier}" if identifier > 0 else f"{name_of(url)}#{number}",
        "target_id": identifier,
        "source": url,
    }


def _identifiers(table: Mapping[str, Any], named: Mapping[str, str], count: int) -> NDArray[np.int64]:
    """(n,) identifiers; -1 where no column has whole numbers that were never floats."""
    for name in IDENTIFIER:
        column = np.asarray(table[named[name]]) if name in named else None
        if column is not None and column.dtype.kind in "iu":
            return (
                column.astype(np.uint64).view(np.int64)
                if column.dtype.kind == "u"
                else column.astype(np.int64)
            )
    return np.full(count, -1, dtype=np.int64)


def _table(url: str, content: bytes) -> dict[str, Any]:
    """Columns by name, as NumPy or astropy has them."""
    ending = url.lower().rpartition(".")[2]
    if ending == "parquet":
        from pyarrow import parquet

        read = parquet.read_table(io.BytesIO(content))
        return {name: read[name].to_numpy() for name in read.column_names}
    if ending == "ecsv":
        from astropy.table import Table

        found = Table.read(content.decode("utf-8"), format="ascii.ecsv")
        return {name: found[name] for name in found.colnames}
    frame = pd.read_csv(io.BytesIO(content), comment="#", skipinitialspace=True)
    return {str(name): frame[name].to_numpy() for name in frame}


def _content(url: str) -> bytes:
    filesystem, path = open_file_system(url)
    with reading(url):
        size = int(filesystem.info(path)["size"])
        if size <= MOST_BYTES:
            return bytes(filesystem.cat_file(path))
    raise _refused(
        url,
        "A table of spectra is too large.",
        f"{size:,} bytes",
        "Write the spectra that matter by themselves.",
    )


@contextmanager
def _decoding(url: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # whatever a decoder raises, the file is at fault
        raise _refused(
            url,
            "The table cannot be read.",
            f"{type(error).__name__}: {error}",
            "Write it again, with one header line and a column each for wavelength, flux and ivar or error.",
        ) from error


def _refused(url: str, what: str, got: str, remedy: str) -> InputError:
    return InputError(
        what,
        where=url,
        got=got,
        allowed=f"a table in CSV, ECSV or Parquet of at most {MOST_BYTES:,} bytes",
        remedy=remedy,
        kind=ErrorKind.OWN_FILE,
    )
