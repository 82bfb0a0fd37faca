"""The spectrum of a file that is asked for. What is not there is refused before a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.attribution.method import MethodSettings
from engine.query.redshift_table import read_redshift_table
from engine.run.picking import Wanted, picked, shown_name
from engine.spectra.source_file import RefusedFile, ReleaseListing, SourceFile
from engine.spectra.spectra import Spectra
from engine.surveys.identifiers import shown_identifiers, stored_identifier
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from engine.surveys.surveys import files_of_surveys
from models.credentials import refuse_credentials
from models.errors import ConfigurationError, ErrorKind, InputError, QuarantineError

_LISTED = 8


@dataclass(frozen=True)
class SpectrumRequest:
    """Which spectrum of which file, and how to explain it.

    Attributes
    ----------
    file : path or URL; a file of redshifts is looked for beside it.
    target_id, row : one of them; neither for a file with one spectrum.
    model : name or directory; None for the one that ships for the file's grid and the spectrum's class and
        redshift, or where there is none for the class, the first for the grid.
    redshifts : path of a table of redshifts that go before the pipeline's; class_of : the spectrum's class
        where the table has none. Both are empty for what the pipeline says.
    attribution : settings of the method; memory_bytes : what it may take, 0 for what suits the device.
    """

    file: str
    target_id: int | None
    row: int | None
    model: str | None
    attribution: MethodSettings
    memory_bytes: int = 0
    redshifts: str = ""
    class_of: str = ""

    def __post_init__(self) -> None:
        refuse_credentials(self.file, self.model or "")


@dataclass(frozen=True)
class ChosenSpectrum:
    """The spectrum that was asked for (a table of one row), and its file."""

    file: SourceFile
    spectra: Spectra


def chosen_spectrum(request: SpectrumRequest) -> ChosenSpectrum:
    """Find and read the spectrum.

    Raises
    ------
    InputError : there is no such file or spectrum, or it cannot be read.
    """
    file = _with_own_values(_only_file(request.file), request)
    return ChosenSpectrum(file, _chosen(file, request))


def _with_own_values(listing: ReleaseListing, request: SpectrumRequest) -> SourceFile:
    """The file with the redshifts of the user's table, which must name a spectrum of it."""
    table = read_redshift_table(Path(request.redshifts)) if request.redshifts else None
    redshifts = {} if table is None else {table.named_by: table.values}
    found = picked(listing, Wanted(None, redshifts, request.class_of))
    if found.listing.refused:
        raise _unreadable(found.listing.refused[0])
    if table is not None and len(found.redshifts_missing) == len(table):
        raise InputError(
            "The table of redshifts names no spectrum of the file.",
            where=request.redshifts,
            got=f"{len(table):,} names, such as {shown_name(found.redshifts_missing[0])}",
            allowed=f"the name of a spectrum of {listing.files[0].url}",
            remedy="Look whether the table is of these spectra.",
            kind=ErrorKind.TARGET_LIST,
        )
    return found.listing.files[0]


def _only_file(url: str) -> ReleaseListing:
    listing = list_release([url])
    if len(listing.files) == 1:
        return listing
    raise InputError(
        "One file of spectra is wanted.",
        where=url,
        got=f"{len(listing.files)} files",
        allowed=f"a file of spectra: {files_of_surveys()}",
        remedy="Name the file itself; for a whole release use `whyspec run`.",
        kind=ErrorKind.ONE_FILE,
    )


def _chosen(file: SourceFile, request: SpectrumRequest) -> Spectra:
    """The one spectrum that was asked for."""
    if request.row is not None and request.target_id is None:
        if not 0 <= request.row < file.spectra:
            raise _no_such(file, f"row {request.row}", f"rows 0 to {file.spectra - 1}")
        return _read(file, request.row, request.row + 1)
    if request.target_id is None:
        if file.spectra == 1:
            return _read(file, 0, 1)
        raise ConfigurationError(
            f"Which of the {file.spectra:,} spectra of the file is meant?",
            where=file.url,
            got="neither --target-id nor --row",
            allowed="one of them",
            remedy="Give --row, from 0, or the spectrum's TARGETID (SDSS: SPECOBJID).",
            kind=ErrorKind.OPTION,
        )
    spectra = _read(file, 0, file.spectra)
    asked = stored_identifier(spectra.grid, request.target_id)
    found = np.flatnonzero(spectra.rows["target_id"] == asked)
    if request.row is not None:
        found = found[found == request.row]
    if not len(found):
        known = shown_identifiers(spectra.grid, spectra.rows["target_id"][:_LISTED])
        some = ", ".join(map(str, known.tolist()))
        raise _no_such(file, f"TARGETID {request.target_id}", f"{some}, ... ({file.spectra} in all)")
    return spectra.take(found[:1])


def _read(file: SourceFile, start: int, stop: int) -> Spectra:
    try:
        return read_spectra(file, start, stop)
    except QuarantineError as error:
        raise InputError(
            error.what,
            where=error.where,
            got=f"{error.kind}: {error.got}" if error.got else error.kind,
            allowed=error.allowed,
            remedy=error.remedy or "Fetch the file anew.",
            kind=ErrorKind.UNREADABLE_SPECTRUM,
        ) from error


def _unreadable(file: RefusedFile) -> InputError:
    what, *details = file.explained
    return InputError(
        what,
        where=file.url,
        got=f"{file.kind}: {' '.join(details)}".strip(),
        remedy="Fetch the file anew.",
        kind=ErrorKind.UNREADABLE_SPECTRUM,
    )


def _no_such(file: SourceFile, got: str, allowed: str) -> InputError:
    return InputError(
        "The file has no such spectrum.",
        where=file.url,
        got=got,
        allowed=allowed,
        remedy="Give --target-id or --row of a spectrum in this file.",
        kind=ErrorKind.NO_SUCH_SPECTRUM,
    )
