"""Own files: spectra that people hold in files that no run takes, each opened for one of its spectra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.files.decoding import SENSELESS, decoding
from engine.files.fits_file import FitsFile
from engine.spectra.own_spectrum import OwnSpectrum
from engine.spectra.spectra import Spectra
from engine.surveys.directory import SUFFIXES, kind_of, name_of
from engine.surveys.other_files import other_file
from engine.surveys.single_reader import SingleReader
from engine.surveys.surveys import SURVEYS, files_of_surveys
from flows.spectrum.own_columns import OwnRead
from flows.spectrum.specutils_spectra import specutils_file
from models.errors import ErrorKind, InputError, QuarantineError

TABLES = ("csv", "ecsv", "parquet")
"""Endings of names of tables."""


@dataclass(frozen=True, eq=False)
class OwnFile:
    """A file that no run takes.

    Attributes
    ----------
    identifiers : of its spectra, (n,), in their order; -1 for none.
    read : the spectrum of a number, on its survey's grid or on pixels of its own.
    notes : what should be known of its spectra.
    """

    identifiers: NDArray[np.int64]
    read: Callable[[int], OwnSpectrum | Spectra]
    notes: tuple[str, ...] = ()


def own_file(url: str, how: OwnRead) -> OwnFile | None:
    """The file, if it is one of people's own; None where there is none, or where it is a survey's.

    Raises
    ------
    InputError : it is of a kind that is not read, which the text names, or a table that cannot be read.
    QuarantineError, RetryError : it cannot be read.
    """
    ending = name_of(url).lower().rpartition(".")[2]
    if kind_of(url) != "file":
        return None
    if ending in TABLES:
        # Imported here: it takes as long as torch to find that a file is not there.
        from flows.spectrum.own_tables import open_table

        return OwnFile(*open_table(url, how))
    if other_file(url) is not None and not name_of(url).endswith(SUFFIXES):
        raise _not_read(url, "")
    # What a survey's reader takes anyway is asked of it, unless its redshifts may be missing.
    if any(survey.is_spectra_file(url) for survey in SURVEYS) and np.isnan(how.redshift):
        return None
    return _of_fits(url, how)


def _of_fits(url: str, how: OwnRead) -> OwnFile | None:
    try:
        with FitsFile(url) as file:
            single = [reader for survey in SURVEYS for reader in survey.single_readers]
            found = next((reader for reader in single if reader.recognises(file)), None)
            of_survey = any(each.recognises(file) for survey in SURVEYS for each in survey.readers)
            got = ", ".join(filter(None, file.names())) or f"{len(file.units)} HDUs without names"
    except QuarantineError:
        return None  # the survey's readers say what is wrong with it
    if found is not None:
        return _of_survey(url, found)
    if other_file(url) is not None:
        raise _not_read(url, "")
    if of_survey:
        return None
    if (opened := specutils_file(url, how)) is not None:
        return OwnFile(*opened)
    raise _not_read(url, f"HDUs {got}")


def _not_read(url: str, got: str) -> InputError:
    known = other_file(url)
    single = "; ".join(reader.title for survey in SURVEYS for reader in survey.single_readers)
    return InputError(
        "Files of this kind are not read." if known else "The file is not of a kind that is known here.",
        where=url,
        got=known.kind if known else got,
        allowed=f"{files_of_surveys()}; {single}; a table in {', '.join(TABLES)}",
        remedy=known.remedy
        if known
        else "Install specutils, which reads more kinds: pip install 'whyspec[specutils]'. Or write "
        "wavelength, flux and ivar or error as columns of a .csv.",
        kind=ErrorKind.OWN_FILE,
    )


def _of_survey(url: str, reader: SingleReader) -> OwnFile:
    with decoding(url, SENSELESS), FitsFile(url) as file:
        identifiers = reader.identifiers(file)

    def read(number: int) -> Spectra:
        with decoding(url, SENSELESS), FitsFile(url) as file:
            return reader.read(file, number)

    return OwnFile(identifiers, read, reader.notes)
