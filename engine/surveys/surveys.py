"""The list of surveys, and which of them a reader, a grid or a file belongs to."""

from __future__ import annotations

from typing import Any

from engine.surveys.desi.survey import DESI
from engine.surveys.reader import Reader
from engine.surveys.sdss.survey import SDSS
from engine.surveys.survey import Survey
from models.errors import ConfigurationError, ErrorKind
from models.grid import WavelengthGrid

SURVEYS: list[Survey] = [DESI, SDSS]
"""All surveys, in the order in which they are asked whether a file is theirs. No two have a grid, a reader's
name or a layout's name in common."""


def survey_on(grid: WavelengthGrid) -> Survey | None:
    """The survey whose spectra are on a grid; None for a grid of no survey, e.g. of a test."""
    return next(
        (survey for survey in SURVEYS if grid.name in (each.name for each in survey.grids)),
        None,
    )


def reader_of(name: str) -> tuple[Survey, Reader[Any]]:
    """The reader of that name, and its survey.

    Raises
    ------
    ConfigurationError : there is no such reader.
    """
    readers = {reader.name: (survey, reader) for survey in SURVEYS for reader in survey.readers}
    try:
        return readers[name]
    except KeyError:
        raise ConfigurationError(
            "There is no such reader.",
            got=name,
            allowed=", ".join(readers),
            remedy="List the release again with this version of whyspec.",
            kind=ErrorKind.UNKNOWN_READER,
        ) from None


def redshift_urls(url: str) -> tuple[str, ...]:
    """Where the redshifts of a file of spectra of any survey may be, the likeliest first."""
    return next((urls for survey in SURVEYS if (urls := survey.redshift_urls(url))), ())


def files_of_surveys() -> str:
    """The files that can be read, for people."""
    return ", ".join(f"{survey.title} {survey.files}" for survey in SURVEYS)
