"""Which reader a file needs, and reading through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from engine.files.data_sums import checksum_mismatch
from engine.files.fits_file import FitsFile
from engine.files.fits_headers import Foresight, HeaderDataUnit, Last
from engine.spectra.rows import Rows
from engine.spectra.source_file import SourceFile
from engine.spectra.spectra import Spectra
from engine.surveys.desi import coadd as desi_coadd
from engine.surveys.desi.coadd import CoaddSpectra, RedshiftTable
from engine.surveys.desi.coadd_places import foresee_coadd
from engine.surveys.fingerprint import PublishedChecksums, fingerprint
from engine.surveys.sdss import plate as sdss_plate
from engine.surveys.sdss import spec as sdss_spec
from engine.surveys.sdss.plate import BestFits, PlateSpectra, foresee_plate
from engine.surveys.sdss.spec import OneSpectrum
from models.errors import BugError, ConfigurationError, ErrorKind, QuarantineError
from models.grid import DESI_GRID, SDSS_GRID, WavelengthGrid

_GRIDS = {desi_coadd.READER: DESI_GRID, sdss_spec.READER: SDSS_GRID, sdss_plate.READER: SDSS_GRID}


_T = TypeVar("_T")


def grid_of(reader: str) -> WavelengthGrid:
    """The grid on which a reader puts its spectra.

    Raises
    ------
    ConfigurationError : there is no such reader.
    """
    try:
        return _GRIDS[reader]
    except KeyError:
        raise ConfigurationError(
            "There is no such reader.",
            got=reader,
            allowed=", ".join(_GRIDS),
            remedy="List the release again with this version of whyspec.",
            kind=ErrorKind.UNKNOWN_READER,
        ) from None


def inspect(url: str, redshift_url: str = "", published: PublishedChecksums | None = None) -> SourceFile:
    """What a file holds, told by its content, not its name.

    DESI coadds are described from headers alone, unless their HDUs carry no DATASUM. SDSS files carry none:
    of a spec file the two tables that matter are read for the fingerprint, of a plate the tables of its
    fibres and redshifts, while its header, which says when the spectra were coadded, stands for the images.

    Parameters
    ----------
    redshift_url : the redrock file of a DESI coadd, the spZbest file of an SDSS plate; empty for none.
    published : published checksums already looked up; looked up here when not given.

    Raises
    ------
    QuarantineError : the file is damaged, or not one that a reader here can use.
    RetryError : the disk or network failed.
    """
    published = published if published is not None else PublishedChecksums()
    with _decoding(url), ExitStack() as stack:
        file = stack.enter_context(FitsFile(url, _foresee(0, 0)))
        if not (_is_desi(file) or sdss_plate.is_plate(file)):
            redshift_url = ""
        redshifts = stack.enter_context(FitsFile(redshift_url)) if redshift_url else None
        identity: tuple[str, ...]
        if _is_desi(file):
            desi_coadd.check_is_coadd(file)
            reader, count = desi_coadd.READER, file.unit("FIBERMAP").rows
            identity = names = desi_coadd.identity(file)
        elif sdss_plate.is_plate(file):
            reader, count = sdss_plate.READER, sdss_plate.PlateUnits.of(file).flux.rows
            names = sdss_plate.identity(file)
            identity = (*names, sdss_plate.header_digest(file))
        else:
            sdss_spec.check_grid(file)
            reader, count = sdss_spec.READER, 1
            identity = names = sdss_spec.identity(file)
        digest = fingerprint(_parts(reader, file, redshifts), published, identity)
    return SourceFile(url, redshift_url, reader, count, digest, *names)


def verify(file: SourceFile) -> None:
    """Read what a run would read of a file, and compare it with the DATASUMs in its headers.

    Raises
    ------
    QuarantineError : the file is not what it was when it was listed (``changed-file``), or its bytes
        are not those that were written (``checksum-mismatch``).
    RetryError : the disk or network failed.
    """
    if inspect(file.url, file.redshift_url).fingerprint != file.fingerprint:
        raise _changed(file, "another fingerprint", file.fingerprint)
    with ExitStack() as stack:
        spectra = stack.enter_context(FitsFile(file.url, _foresee(0, file.spectra)))
        redshifts = stack.enter_context(FitsFile(file.redshift_url)) if file.redshift_url else None
        for part, units in _parts(file.reader, spectra, redshifts):
            for unit in units:
                recorded = unit.text("DATASUM")
                if recorded.isdigit() and (found := part.datasum(unit)) != int(recorded):
                    raise checksum_mismatch(part.url, unit, found)


_Reader = CoaddSpectra | OneSpectrum | PlateSpectra


class OpenSpectra:
    """A source file that :func:`open_spectra` opened: read it in as many pieces as suit.

    Several threads may call :meth:`read` at the same time.
    """

    def __init__(self, file: SourceFile, spectra: _Reader) -> None:
        self.file = file
        self._spectra = spectra

    @property
    def held_bytes(self) -> int:
        """Bytes of the file in memory, see :func:`open_spectra`."""
        return self._spectra.file.held_bytes

    def read(self, start: int, stop: int) -> Spectra:
        """Spectra ``start`` to ``stop`` of the file, on their survey's grid; only their bytes are read.

        ``read(i, j)`` equals ``read(0, file.spectra).take(slice(i, j))`` bit for bit.

        Raises
        ------
        QuarantineError : the file is damaged.
        RetryError : the disk or network failed.
        """
        self._check(start, stop)
        with _decoding(self.file.url):
            return self._spectra.read(start, stop)

    def rows(self, start: int, stop: int) -> Rows:
        """What the tables of the file say of spectra ``start`` to ``stop``; no pixel is looked at.

        Columns that follow from pixels may be missing, and of the reasons for having no score those too.

        Raises
        ------
        QuarantineError, RetryError : as :meth:`read`.
        """
        self._check(start, stop)
        with _decoding(self.file.url):
            return self._spectra.rows(start, stop)

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
        whatever its size. A gzip-compressed file is decompressed once and held without its resolution
        matrices, 100 kB per spectrum. Other rows may be read too.

    Raises
    ------
    QuarantineError : the file is damaged, no longer what it was when it was listed, or keeps failing
        although the disk or server that holds it answers.
    RetryError : the disk or network is away.
    """
    grid_of(file.reader)
    with ExitStack() as stack:
        with _decoding(file.url):
            spectra = _open(file, start, file.spectra if stop is None else stop, stack)
        if spectra.count != file.spectra:
            raise _changed(file, f"{spectra.count} spectra", f"{file.spectra} spectra")
        yield OpenSpectra(file, spectra)


def _open(file: SourceFile, start: int, stop: int, stack: ExitStack) -> _Reader:
    foresee = _foresee(start, stop)
    if file.reader == sdss_spec.READER:
        return OneSpectrum(stack.enter_context(FitsFile(file.url, foresee)))
    names = (file.specprod, file.survey, file.program)
    # The two files wait for the network together.
    with ThreadPoolExecutor(1) as pool:
        if file.reader == sdss_plate.READER:
            fits = pool.submit(_read_redshifts, file.redshift_url, BestFits.of, lambda unit: unit.is_table)
            plate = stack.enter_context(FitsFile(file.url, foresee))
            return PlateSpectra(plate, fits.result(), names, start, stop)
        redshifts = pool.submit(
            _read_redshifts, file.redshift_url, RedshiftTable.of, lambda unit: unit.name == "REDSHIFTS"
        )
        coadd = stack.enter_context(FitsFile(file.url, foresee))
        return CoaddSpectra(coadd, redshifts.result(), names, start, stop)


def _read_redshifts(url: str, read: Callable[[FitsFile], _T], until: Last) -> _T | None:
    if not url:
        return None
    with FitsFile(url, until=until) as file:
        return read(file)


def _foresee(start: int, stop: int) -> Foresight:
    """Foresight for whatever the file turns out to be."""
    kinds = (foresee_coadd(start, stop), foresee_plate(start, stop))
    return lambda units, size: [one for foresee in kinds for one in foresee(units, size)]


def read_spectra(file: SourceFile, start: int = 0, stop: int | None = None) -> Spectra:
    """Spectra ``start`` to ``stop`` (all by default) of a file: opened, read and closed.

    Raises
    ------
    QuarantineError, RetryError : see :func:`open_spectra` and :meth:`OpenSpectra.read`.
    """
    stop = file.spectra if stop is None else stop
    with open_spectra(file, start, stop) as spectra:
        return spectra.read(start, stop)


@contextmanager
def _decoding(url: str) -> Iterator[None]:
    """Quarantine a file whose damage shows only when its values make no sense, e.g. a text for a redshift."""
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise QuarantineError(
            "The file's content cannot be decoded.",
            where=url,
            got=f"{type(error).__name__}: {error}",
            allowed="tables and images of the kinds that the survey writes",
            remedy="Fetch the file again; if it is whole, please report this with the file's name.",
            kind=ErrorKind.UNDECODABLE_FILE,
        ) from error


def _parts(
    reader: str, file: FitsFile, redshifts: FitsFile | None
) -> list[tuple[FitsFile, list[HeaderDataUnit]]]:
    """The HDUs that a reader reads, of each file."""
    if reader == sdss_spec.READER:
        return [(file, list(sdss_spec.tables(file)))]
    if reader == sdss_plate.READER:
        plate = sdss_plate.PlateUnits.of(file)
        images = [unit for unit in (plate.flux, plate.ivar, plate.and_mask) if unit.text("DATASUM")]
        parts = [(file, [*images, plate.plugmap])]
        if redshifts is not None:
            parts.append((redshifts, [sdss_plate.redshift_table(redshifts)]))
        return parts
    kinds = ("WAVELENGTH", "FLUX", "IVAR", "MASK")
    names = ["FIBERMAP", *(f"{arm.name}_{kind}" for arm in desi_coadd.arms_of(file) for kind in kinds)]
    parts = [(file, [file.unit(name) for name in names if name in file])]
    if redshifts is not None:
        parts.append((redshifts, [desi_coadd.redshift_table(redshifts)]))
    return parts


def _changed(file: SourceFile, got: str, allowed: str) -> QuarantineError:
    return QuarantineError(
        "A file is not what it was when it was listed.",
        where=file.url,
        got=got,
        allowed=allowed,
        remedy="Plan the run again.",
        kind=ErrorKind.CHANGED_FILE,
    )


def _is_desi(file: FitsFile) -> bool:
    """Whether a file was written by DESI's pipeline: spectra by arm, a fibermap, or redshifts."""
    names = file.names()
    return any(name in names for name in ("FIBERMAP", "REDSHIFTS", "EXP_FIBERMAP")) or any(
        f"{arm}_{kind}" in names for arm in ("B", "R", "Z", "BRZ") for kind in ("FLUX", "IVAR", "WAVELENGTH")
    )
