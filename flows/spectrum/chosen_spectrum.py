"""The spectrum of a file that is asked for. What is not there is refused before a model is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.query.redshift_table import read_redshift_table
from engine.run.picking import Wanted, picked
from engine.spectra.own_spectrum import OwnSpectrum
from engine.spectra.rows import Rows
from engine.spectra.source_file import RefusedFile, ReleaseListing, SourceFile
from engine.spectra.spectra import Spectra
from engine.surveys.identifiers import shown_identifiers, stored_identifier
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from engine.surveys.row_names import shown_name
from engine.surveys.surveys import files_of_surveys
from flows.spectrum.own_columns import OwnRead
from flows.spectrum.own_files import OwnFile, own_file
from flows.spectrum.own_grid import DEFAULT_CLASS, NO_CLASS, chosen_on, grid_for
from flows.spectrum.spectrum_choice import ChosenSpectrum, SpectrumRequest
from models.errors import ConfigurationError, ErrorKind, InputError, QuarantineError
from models.model_files import read_model
from models.row_status import RowStatus

_LISTED = 8


def chosen_spectrum(request: SpectrumRequest) -> ChosenSpectrum:
    """Find and read the spectrum, on the grid of the model asked for, else of its survey.

    Raises
    ------
    InputError : there is no such file or spectrum, or it cannot be read, or its redshift is unknown.
    ConfigurationError : the file has several spectra, and it is not said which.
    """
    found = _found(request)
    if isinstance(found, ChosenSpectrum):
        return found
    return chosen_on(found, read_model(request.model).card.grid if request.model else grid_for(found))


def found_spectrum(request: SpectrumRequest) -> OwnSpectrum:
    """Find and read the spectrum, on pixels of its own; one of a survey on the survey's.

    Raises
    ------
    InputError, ConfigurationError : as :func:`chosen_spectrum`; its redshift may be unknown.
    """
    found = _found(request)
    return _as_own(found) if isinstance(found, ChosenSpectrum) else found


def _found(request: SpectrumRequest) -> ChosenSpectrum | OwnSpectrum:
    given = np.nan if request.redshift is None else request.redshift
    with _unreadable():
        own = own_file(request.file, OwnRead(request.medium, given, request.spectral_class))
        if own is not None:
            return _of_own(own, request)
    file = _with_own_values(_only_file(request.file), request)
    return ChosenSpectrum(file.url, _as_said(_chosen(file, request), request))


def _of_own(own: OwnFile, request: SpectrumRequest) -> ChosenSpectrum | OwnSpectrum:
    """The spectrum of a file that no run takes."""
    found = own.read(_number(own, request))
    if isinstance(found, OwnSpectrum):
        return found
    spectra, notes = _as_said(found, request), own.notes
    if not spectra.rows["spectype"][0]:
        spectra = _as_said(spectra, replace(request, spectral_class=DEFAULT_CLASS))
        notes = (*notes, NO_CLASS)
    return ChosenSpectrum(request.file, spectra, notes)


def _number(own: OwnFile, request: SpectrumRequest) -> int:
    """Place of the spectrum that was asked for among those of the file."""
    count = len(own.identifiers)
    places = np.arange(count)
    if request.target_id is not None:
        bits = request.target_id - (1 << 64) if request.target_id >= 1 << 63 else request.target_id
        places = places[own.identifiers == bits]
    if request.row is not None:
        places = places[places == request.row]
    asked = {"TARGETID": request.target_id, "row": request.row}
    named = [f"{name} {value}" for name, value in asked.items() if value is not None]
    if len(places) > 1 and not named:
        raise _which(request.file, count)
    if not len(places):
        some = ", ".join(map(str, own.identifiers[:_LISTED].tolist()))
        raise _no_such(request.file, ", ".join(named), f"rows 0 to {count - 1}, TARGETID {some}")
    return int(places[0])


def _as_own(chosen: ChosenSpectrum) -> OwnSpectrum:
    """A survey's spectrum as one of the user's own, with what the survey says against it as a note."""
    spectra, row = chosen.spectra, chosen.spectra.rows.data[0]
    status = RowStatus(int(row["status"]))
    against = [] if status is RowStatus.SCORED else [f"The file says of the spectrum: {status.meaning}."]
    (identifier,) = shown_identifiers(spectra.grid, spectra.rows["target_id"])
    return OwnSpectrum(
        spectra.grid.wavelength(),
        spectra.flux[0],
        spectra.ivar[0],
        float(row["redshift"]),
        str(row["spectype"]),
        str(row["key"]),
        int(identifier),
        chosen.source,
        (*chosen.notes, *against),
    )


def _as_said(spectra: Spectra, request: SpectrumRequest) -> Spectra:
    """The spectrum with the redshift and class that the user gives it."""
    data = spectra.rows.data.copy()
    if request.redshift is not None:
        data["redshift"] = request.redshift
        data["status"][data["status"] == RowStatus.NO_REDSHIFT] = RowStatus.SCORED
    if request.spectral_class:
        data["spectype"] = request.spectral_class
    return replace(spectra, rows=Rows(data))


def _with_own_values(listing: ReleaseListing, request: SpectrumRequest) -> SourceFile:
    """The file with the redshifts of the user's table, which must name a spectrum of it."""
    table = read_redshift_table(Path(request.redshifts)) if request.redshifts else None
    redshifts = {} if table is None else {table.named_by: table.values}
    found = picked(listing, Wanted(None, redshifts))
    if found.listing.refused:
        raise _refused(found.listing.refused[0])
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
            raise _no_such(file.url, f"row {request.row}", f"rows 0 to {file.spectra - 1}")
        return _read(file, request.row, request.row + 1)
    if request.target_id is None:
        if file.spectra == 1:
            return _read(file, 0, 1)
        raise _which(file.url, file.spectra)
    spectra = _read(file, 0, file.spectra)
    asked = stored_identifier(spectra.grid, request.target_id)
    found = np.flatnonzero(spectra.rows["target_id"] == asked)
    if request.row is not None:
        found = found[found == request.row]
    if not len(found):
        known = shown_identifiers(spectra.grid, spectra.rows["target_id"][:_LISTED])
        some = ", ".join(map(str, known.tolist()))
        raise _no_such(file.url, f"TARGETID {request.target_id}", f"{some}, ... ({file.spectra} in all)")
    return spectra.take(found[:1])


def _read(file: SourceFile, start: int, stop: int) -> Spectra:
    with _unreadable():
        return read_spectra(file, start, stop)


@contextmanager
def _unreadable() -> Iterator[None]:
    """A file that is bad as an error of the input: it is the one that the user named."""
    try:
        yield
    except QuarantineError as error:
        raise InputError(
            error.what,
            where=error.where,
            got=f"{error.kind}: {error.got}" if error.got else error.kind,
            allowed=error.allowed,
            remedy=error.remedy or "Fetch the file anew.",
            kind=ErrorKind.UNREADABLE_SPECTRUM,
        ) from error


def _which(url: str, count: int) -> ConfigurationError:
    return ConfigurationError(
        f"Which of the {count:,} spectra of the file is meant?",
        where=url,
        got="neither --target-id nor --row",
        allowed="one of them",
        remedy="Give --row, from 0, or the spectrum's TARGETID (SDSS: SPECOBJID).",
        kind=ErrorKind.OPTION,
    )


def _refused(file: RefusedFile) -> InputError:
    what, *details = file.explained
    return InputError(
        what,
        where=file.url,
        got=f"{file.kind}: {' '.join(details)}".strip(),
        remedy="Fetch the file anew.",
        kind=ErrorKind.UNREADABLE_SPECTRUM,
    )


def _no_such(url: str, got: str, allowed: str) -> InputError:
    return InputError(
        "The file has no such spectrum.",
        where=url,
        got=got,
        allowed=allowed,
        remedy="Give --target-id or --row of a spectrum in this file.",
        kind=ErrorKind.NO_SUCH_SPECTRUM,
    )
