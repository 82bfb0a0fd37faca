"""A reader: what decodes one kind of a survey's files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.files.fits_file import FitsFile
from engine.files.fits_headers import HeaderDataUnit, Last, PrefetchPlan, Unread
from engine.spectra.rows import Rows, whole
from engine.spectra.spectra import Spectra
from models.errors import ErrorKind, QuarantineError
from models.grid import WavelengthGrid

T = TypeVar("T")

Names = tuple[str, str, str]
"""specprod, survey and program of a file, as a row has them; empty text where there is none."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a file holds, from its headers and small tables.

    Attributes
    ----------
    spectra : their number.
    names : what all of them are called.
    key_prefix : what their keys begin with, see :class:`engine.spectra.source_file.SourceFile`.
    content : what else tells one version of the file from another, where no DATASUM does.
    """

    spectra: int
    names: Names
    key_prefix: str = ""
    content: tuple[str, ...] = ()


class SpectraFile(Protocol):
    """An open file of spectra. Several threads may read of it at the same time."""

    @property
    def file(self) -> FitsFile:
        """The file that holds the spectra."""
        ...

    @property
    def count(self) -> int:
        """Number of its spectra."""
        ...

    def read(self, start: int, stop: int) -> Spectra:
        """Spectra ``start`` to ``stop`` on the reader's grid; the column ``key`` may be left empty."""
        ...

    def rows(self, start: int, stop: int) -> Rows:
        """What the tables say of them; columns that follow from pixels may be missing."""
        ...


def write_names(data: NDArray[np.void], names: Names) -> None:
    """Fill the columns of what all spectra of a file are called.

    Raises
    ------
    ValueError : a name is longer than its column.
    """
    for column, name in zip(("specprod", "survey", "program"), names, strict=True):
        data[column] = whole(column, name)


def contradicted(identifiers: NDArray[np.int64], redshifts: NDArray[np.floating]) -> NDArray[np.int64]:
    """Identifiers, given in ascending order, of which a table has several redshifts."""
    same = identifiers[1:] == identifiers[:-1]
    equal = (redshifts[1:] == redshifts[:-1]) | (np.isnan(redshifts[1:]) & np.isnan(redshifts[:-1]))
    several: NDArray[np.int64] = identifiers[1:][same & ~equal]
    return several


def repeated(identifiers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows of a file have the identifier of an earlier row; those that are not positive never."""
    again = identifiers > 0
    again[np.unique(identifiers, return_index=True)[1]] = False
    return again


def other_redshifts(url: str, spectra: int, redshifts: int) -> QuarantineError:
    """The error for a file none of whose spectra is among its redshifts (``row-mismatch``)."""
    return QuarantineError(
        "The redshifts are not those of the file's spectra.",
        where=url,
        got=f"none of its {spectra} spectra is among the {redshifts} redshifts",
        allowed="redshifts of the same spectra",
        remedy="Fetch the file and its redshifts again, from the same release.",
        kind=ErrorKind.ROW_MISMATCH,
    )


@dataclass(frozen=True)
class RedshiftFile(Generic[T]):
    """How a file of redshifts is read, for surveys that keep them apart from the spectra.

    Attributes
    ----------
    table : the HDU that is read; raises QuarantineError where it is missing or lacks a column.
    read : its content.
    last : whether an HDU is the last of interest.
    within : whether a file of spectra holds such a table itself.
    """

    table: Callable[[FitsFile], HeaderDataUnit]
    read: Callable[[FitsFile], T]
    last: Last
    within: Callable[[FitsFile], bool] = lambda _file: False


@dataclass(frozen=True)
class Reader(Generic[T]):
    """How one kind of file is recognised and read. All functions may raise QuarantineError.

    Attributes
    ----------
    name : as source files name it; stores keep it.
    grid : the grid on which it puts its spectra.
    recognises : whether a file is of this kind, or meant to be: the first reader of all surveys that says
        so reads it, or says what is wrong with it.
    describe : what a file holds; refuses what :attr:`open` could not read.
    units : the HDUs of the spectra that are read and that the file's fingerprint therefore covers.
    open : an open file, with its redshifts, its names, and the rows that will be read, start and stop.
    redshifts : how the table of redshifts is read, which is in another file unless its ``within`` says
        otherwise; None for files each of whose spectra has its redshift beside it, T being None then.
    prefetch : plan of what a reader of rows start to stop will read; of no rows: of the headers alone.
    unread : whether the data of an HDU are never read, see :data:`engine.files.fits_headers.Unread`.
    """

    name: str
    grid: WavelengthGrid
    recognises: Callable[[FitsFile], bool]
    describe: Callable[[FitsFile], Description]
    units: Callable[[FitsFile], Sequence[HeaderDataUnit]]
    open: Callable[[FitsFile, T, Names, int, int], SpectraFile]
    redshifts: RedshiftFile[T] | None = None
    prefetch: Callable[[int, int], PrefetchPlan] = lambda _start, _stop: lambda _units, _size: []
    unread: Unread = lambda _unit: False
