"""The spectrum of a file that is asked for. What is not there is refused before a model is loaded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.spectra.rows import Rows, whole
from engine.spectra.source_file import SourceFile
from engine.spectra.spectra import Spectra
from engine.surveys.identifiers import shown_identifiers, stored_identifier
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from engine.surveys.surveys import files_of_surveys
from flows.spectrum.spectrum_choice import ChosenSpectrum, SpectrumRequest
from models.errors import ConfigurationError, ErrorKind, InputError, QuarantineError
from models.row_status import RowStatus

_LISTED = 8


def chosen_spectrum(request: SpectrumRequest) -> ChosenSpectrum:
    """Find and read the spectrum.

    Raises
    ------
    InputError : there is no such file or spectrum, or it cannot be read.
    """
    file = _only_file(request.file)
    return ChosenSpectrum(file.url, _as_said(_chosen(file, request), request))


def _as_said(spectra: Spectra, request: SpectrumRequest) -> Spectra:
    """The spectrum with the redshift and class that the user gives it."""
    data = spectra.rows.data.copy()
    if request.redshift is not None:
        data["redshift"] = request.redshift
        data["status"][data["status"] == RowStatus.NO_REDSHIFT] = RowStatus.SCORED
    if request.spectral_class:
        data["spectype"] = whole("spectype", request.spectral_class)
    return replace(spectra, rows=Rows(data))


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
