"""The spectrum of a file that is asked for. What is not there is refused before a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.attribution.method import MethodSettings
from engine.spectra.source_file import SourceFile
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
    attribution : settings of the method; memory_bytes : what it may take, 0 for what suits the device.
    """

    file: str
    target_id: int | None
    row: int | None
    model: str | None
    attribution: MethodSettings
    memory_bytes: int = 0

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
    file = _only_file(request.file)
    return ChosenSpectrum(file, _chosen(file, request))


def _only_file(url: str) -> SourceFile:
    listing = list_release([url])
    if len(listing.files) == 1:
        return listing.files[0]
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


def _no_such(file: SourceFile, got: str, allowed: str) -> InputError:
    return InputError(
        "The file has no such spectrum.",
        where=file.url,
        got=got,
        allowed=allowed,
        remedy="Give --target-id or --row of a spectrum in this file.",
        kind=ErrorKind.NO_SUCH_SPECTRUM,
    )
