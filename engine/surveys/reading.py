"""Reading of files: which reader a file needs, and its spectra through it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from engine.files.byte_ranges import Range
from engine.files.byte_source import reading
from engine.files.data_sums import checksum_mismatch, published_mismatch
from engine.files.decoding import SENSELESS, decoding
from engine.files.file_systems import open_file_system
from engine.files.fits_file import FitsFile
from engine.files.fits_headers import HeaderDataUnit
from engine.spectra.own_values import give_own_values
from engine.spectra.rows import Rows, whole
from engine.spectra.source_file import SourceFile
from engine.spectra.spectra import Spectra
from engine.surveys.directory import name_of, unpacked
from engine.surveys.fingerprint import PublishedChecksums, fingerprint
from engine.surveys.reader import Reader, RedshiftFile, SpectraFile, T, write_names
from engine.surveys.survey import Survey
from engine.surveys.surveys import SURVEYS, files_of_surveys, reader_of, redshift_urls
from models.errors import BugError, ErrorKind, QuarantineError
from models.row_status import RowStatus

_DIGITS = 8
"""Of the fingerprint: they stand in keys where nothing else tells a file from others."""


def inspect(url: str, redshift_url: str = "", published: PublishedChecksums | None = None) -> SourceFile:
    """What a file holds, by its content and not by its name.

    As little is read as the survey's files allow: headers alone where they carry DATASUMs, otherwise the
    tables that matter too. See the readers of each survey.

    Parameters
    ----------
    redshift_url : the file of its redshifts; empty where they are in the file itself.
    published : published checksums already looked up; looked up here when not given.

    Raises
    ------
    QuarantineError : the file is damaged, or not one that a reader here can use.
    RetryError : the disk or network failed.
    """
    published = published if published is not None else PublishedChecksums()
    with decoding(url, SENSELESS), ExitStack() as stack:
        file = stack.enter_context(FitsFile(url, _prefetch_headers, unread=_unread))
        reader = _recognised(file)
        found = reader.describe(file)
        write_names(Rows.empty(1).data, found.names)
        redshift_url = _redshift_url(reader, file, redshift_url)
        redshifts = stack.enter_context(FitsFile(redshift_url)) if redshift_url else None
        digest = fingerprint(_parts(reader, file, redshifts), published, (*found.names, *found.content))
    return SourceFile(url, redshift_url, reader.name, found.spectra, digest, *found.names, found.key_prefix)


def verify(file: SourceFile) -> None:
    """Compare a file with its published SHA-256, and what a run would read of it with the headers' DATASUMs.

    Raises
    ------
    QuarantineError : the file is not what it was when it was listed (``changed-file``), or its bytes
        are not those that were written (``checksum-mismatch``).
    RetryError : the disk or network failed.
    """
    published = PublishedChecksums()
    if inspect(file.url, file.redshift_url, published).fingerprint != file.fingerprint:
        raise _changed(file, "another fingerprint", file.fingerprint)
    for url in filter(None, (file.url, file.redshift_url)):
        if (wanted := published.of(url)) and (found := _sha256(url)) != wanted:
            raise published_mismatch(url, found, wanted)
    _, reader = reader_of(file.reader)
    with ExitStack() as stack:
        spectra = stack.enter_context(_opened(reader, file, 0, file.whole.spectra))
        redshifts = stack.enter_context(FitsFile(file.redshift_url)) if file.redshift_url else None
        for part, units in _parts(reader, spectra, redshifts):
            for unit in units:
                recorded = unit.text("DATASUM")
                if recorded.isdigit() and (total := part.datasum(unit)) != int(recorded):
                    raise checksum_mismatch(part.url, unit, total)


def _sha256(url: str) -> str:
    filesystem, path = open_file_system(url)
    with reading(url), filesystem.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class OpenSpectra:
    """A source file that :func:`open_spectra` opened: read it in as many pieces as suit.

    Several threads may call :meth:`read` at the same time.
    """

    def __init__(self, file: SourceFile, survey: Survey, reader: Reader[Any], spectra: SpectraFile) -> None:
        self.file = file
        self._survey, self._reader = survey, reader
        self._spectra = spectra

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of the file in memory, see :func:`open_spectra`."""
        return self._spectra.file.bytes_in_memory

    @property
    def bytes_of_spectra(self) -> int:
        """Bytes of the HDUs that are read when all its spectra are, unpacked; without the redshifts' file."""
        whole = sum(unit.data_size for unit in self._reader.units(self._spectra.file))
        return whole * self.file.spectra // max(self.file.of_spectra or self.file.spectra, 1)

    def read(self, start: int, stop: int) -> Spectra:
        """Spectra ``start`` to ``stop`` of the file, on their survey's grid; only their bytes are read.

        ``read(i, j)`` equals ``read(0, file.spectra).take(slice(i, j))`` bit for bit.

        Raises
        ------
        QuarantineError : the file is damaged.
        RetryError : the disk or network failed.
        """
        self._check(start, stop)
        with decoding(self.file.url, SENSELESS):
            parts = [self._spectra.read(*run) for run in self.file.runs(start, stop)]
            spectra = parts[0] if len(parts) == 1 else Spectra.concatenate(self._reader.grid, parts)
            self._complete(spectra.rows)
        data = spectra.rows.data
        # What was not to be scored before it got its own redshift was not looked at.
        blind = (data["status"] == RowStatus.SCORED) & (data["good_fraction"] == 0)
        data["status"][blind] = RowStatus.NO_GOOD_PIXELS
        return spectra

    def rows(self, start: int, stop: int) -> Rows:
        """What the tables of the file say of spectra ``start`` to ``stop``; no pixel is looked at.

        Columns that follow from pixels may be missing, and of the reasons for having no score those too.

        Raises
        ------
        QuarantineError, RetryError : as :meth:`read`.
        """
        self._check(start, stop)
        with decoding(self.file.url, SENSELESS):
            rows = Rows.concatenate([self._spectra.rows(*run) for run in self.file.runs(start, stop)])
            self._complete(rows)
        return rows

    def _complete(self, rows: Rows) -> None:
        give_own_values(self.file, rows)
        _write_keys(self._survey, self.file, rows)

    def _check(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self.file.spectra:
            raise BugError(
                "Rows were asked for that a file does not have.",
                where=self.file.url,
                got=f"rows {start} to {stop}",
                allowed=f"0 to {self.file.spectra}",
                kind=ErrorKind.ROW_RANGE,
            )


@contextmanager
def open_spectra(file: SourceFile, start: int = 0, stop: int | None = None) -> Iterator[OpenSpectra]:
    """Open a file once, to read its spectra in pieces without looking at its headers again.

    Parameters
    ----------
    start, stop : the rows that will be read (all by default). Over a network they are fetched before they
        are asked for, in windows of at most 64 MiB, of which two are held: 128 MiB for an open file
        whatever its size. A gzip-compressed file is decompressed once and held without what its reader
        never reads: 100 kB per spectrum of a coadd. Other rows may be read too.

    Raises
    ------
    QuarantineError : the file is damaged, no longer what it was when it was listed, or keeps failing
        although the disk or server that holds it answers.
    RetryError : the disk or network is away.
    """
    survey, reader = reader_of(file.reader)
    with ExitStack() as stack:
        with decoding(file.url, SENSELESS):
            runs = file.runs(start, file.spectra if stop is None else stop) or [(0, 0)]
            spectra = _open(reader, file, runs[0][0], runs[-1][1], stack)
        if spectra.count != file.whole.spectra:
            raise _changed(file, f"{spectra.count} spectra", f"{file.whole.spectra} spectra")
        yield OpenSpectra(file, survey, reader, spectra)


def read_spectra(file: SourceFile, start: int = 0, stop: int | None = None) -> Spectra:
    """Spectra ``start`` to ``stop`` (all by default) of a file: opened, read and closed.

    Raises
    ------
    QuarantineError, RetryError : see :func:`open_spectra` and :meth:`OpenSpectra.read`.
    """
    stop = file.spectra if stop is None else stop
    with open_spectra(file, start, stop) as spectra:
        return spectra.read(start, stop)


def unreadable_rows(file: SourceFile, start: int, stop: int) -> Rows:
    """Rows ``start`` to ``stop`` of a file that cannot be read: their names, and the status that says so."""
    rows = Rows.empty(stop - start)
    data = rows.data
    write_names(data, (file.specprod, file.survey, file.program))
    data["source_row"] = np.concatenate([np.arange(*run) for run in file.runs(start, stop)])
    data["status"] = RowStatus.FILE_UNREADABLE
    survey, _ = reader_of(file.reader)
    _write_keys(survey, file, rows)
    return rows


def _recognised(file: FitsFile) -> Reader[Any]:
    for reader in _readers():
        if reader.recognises(file):
            return reader
    names = ", ".join(name for name in file.names() if name)
    raise QuarantineError(
        "The file is not one of a survey that is known here.",
        where=file.url,
        got=f"HDUs {names}" if names else f"{len(file.units)} HDUs without names",
        allowed=files_of_surveys(),
        remedy="Give the survey's own files, or leave the file out.",
        kind=ErrorKind.NOT_A_SPECTRUM,
    )


def _redshift_url(reader: Reader[Any], file: FitsFile, beside: str) -> str:
    """Where the redshifts of a file are: ``beside`` it or, if that is empty, in it; empty without a table."""
    if reader.redshifts is None:
        return ""
    if beside or reader.redshifts.within(file):
        return beside or file.url
    names = " or ".join(dict.fromkeys(unpacked(name_of(url)) for url in redshift_urls(file.url)))
    raise QuarantineError(
        "The spectra have no redshifts.",
        where=file.url,
        got="no file of redshifts beside it, and none in it",
        allowed=f"{names}, compressed or not" if names else "a name like coadd-X.fits with redrock-X.fits",
        remedy="Fetch the redshifts of the same release and put them beside the spectra. One spectrum can be "
        "explained without: `whyspec explain FILE --row ROW --redshift Z`.",
        kind=ErrorKind.MISSING_REDSHIFTS,
    )


def _prefetch_headers(units: Sequence[HeaderDataUnit], size: int | None) -> list[Range]:
    """Plan for the headers of whatever the file turns out to be."""
    return [one for reader in _readers() for one in reader.prefetch(0, 0)(units, size)]


def _unread(unit: HeaderDataUnit) -> bool:
    return any(reader.unread(unit) for reader in _readers())


def _readers() -> list[Reader[Any]]:
    return [reader for survey in SURVEYS for reader in survey.readers]


def _open(reader: Reader[Any], file: SourceFile, start: int, stop: int, stack: ExitStack) -> SpectraFile:
    names = (file.specprod, file.survey, file.program)
    if reader.redshifts is None:
        return reader.open(stack.enter_context(_opened(reader, file, start, stop)), None, names, start, stop)
    # The two files wait for the network together.
    with ThreadPoolExecutor(1) as pool:
        redshifts = pool.submit(_read_redshifts, reader.redshifts, file.redshift_url)
        spectra = stack.enter_context(_opened(reader, file, start, stop))
        return reader.open(spectra, redshifts.result(), names, start, stop)


def _opened(reader: Reader[Any], file: SourceFile, start: int, stop: int) -> FitsFile:
    return FitsFile(file.url, reader.prefetch(start, stop), unread=reader.unread)


def _read_redshifts(redshifts: RedshiftFile[T], url: str) -> T:
    with FitsFile(url, until=redshifts.last) as file:
        return redshifts.read(file)


def _parts(
    reader: Reader[Any], file: FitsFile, redshifts: FitsFile | None
) -> list[tuple[FitsFile, Sequence[HeaderDataUnit]]]:
    """The HDUs that are read, of each file."""
    parts: list[tuple[FitsFile, Sequence[HeaderDataUnit]]] = [(file, reader.units(file))]
    if redshifts is not None and reader.redshifts is not None:
        parts.append((redshifts, [reader.redshifts.table(redshifts)]))
    return parts


def _write_keys(survey: Survey, file: SourceFile, rows: Rows) -> None:
    names = (file.specprod, file.survey, file.program, file.fingerprint[:_DIGITS])
    rows.data["key"] = whole("key", survey.keys(file.key_prefix or "/".join(names), rows.data))


def _changed(file: SourceFile, got: str, allowed: str) -> QuarantineError:
    return QuarantineError(
        "A file is not what it was when it was listed.",
        where=file.url,
        got=got,
        allowed=allowed,
        remedy="Plan the run again.",
        kind=ErrorKind.CHANGED_FILE,
    )
