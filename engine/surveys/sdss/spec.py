"""SDSS spectra, one per file: ``spec-*.fits``, full and lite, from SDSS-I to SDSS-V.

Formats: https://data.sdss.org/datamodel, checked against 220 files of run2d 26, 104 and v5. HDUs are
found by EXTNAME (COADD; SPECOBJ or SPALL) or, in the many files that name none, by position; columns
by name in any case.

A pixel is good if ivar is positive, flux and ivar are finite, and AND_MASK (bits that every exposure
set) has none of :data:`engine.surveys.sdss.conventions.FATAL_MASK`. For the status of a row see
:func:`engine.surveys.sdss.conventions.statuses`; OBJTYPE or SOURCETYPE says that a fibre was to see sky.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.files.fits_file import FitsFile
from engine.files.fits_headers import HeaderDataUnit
from engine.spectra.masked_pixels import MaskedPixels
from engine.spectra.pixels import good_fraction
from engine.spectra.rows import Rows, whole
from engine.spectra.sky_position import healpix_29
from engine.spectra.spectra import Spectra
from engine.surveys.reader import Description, write_names
from engine.surveys.sdss.conventions import (
    FATAL_MASK,
    KEY_COLUMNS,
    MASKING,
    arm_labels,
    first_pixel,
    identifier,
    number_of,
    spectrograph_of,
    spectrum_key,
    statuses,
    survey_of,
    target_class,
)
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ErrorKind, QuarantineError
from models.signal_to_noise import median_snr

NAME = "sdss-spec"
"""Of the reader."""

_PIXEL_COLUMNS = ("FLUX", "LOGLAM", "IVAR", "AND_MASK")
_OBJECT_COLUMNS = (
    "SPECOBJID", "CATALOGID", "PLATE", "FIELD", "MJD", "FIBERID", "RUN2D", "SURVEY", "OBJTYPE", "SOURCETYPE",
    "SPECTROGRAPHID", "PLUG_RA", "PLUG_DEC", "RA", "DEC", "RACAT", "DECCAT",
    "Z", "Z_ERR", "ZWARNING", "CLASS", "SUBCLASS", "RCHI2DIFF",
)  # fmt: skip


def recognises(file: FitsFile) -> bool:
    """Whether a file is a spectrum of SDSS, also in the older spSpec format, which is then refused."""
    if {"COADD", "SPECOBJ", "SPALL"} & set(file.names()) or _is_image_of_spectra(file):
        return True
    return len(file.units) > 1 and {"FLUX", "LOGLAM"} <= file.units[1].columns.keys()


def tables(file: FitsFile) -> tuple[HeaderDataUnit, HeaderDataUnit]:
    """The HDUs of the pixels and of the object.

    Raises
    ------
    QuarantineError : ``not-a-spectrum``, ``missing-hdu``, ``missing-column`` or ``not-integers``.
    """
    pixels = file.units[1] if len(file.units) > 1 else None
    if "COADD" in file:
        pixels = file.unit("COADD")
    if pixels is None or not pixels.is_table or not {"FLUX", "LOGLAM"} <= pixels.columns.keys():
        raise QuarantineError(
            "The file is not an SDSS spectrum in the spec format.",
            where=file.url,
            got=_what_it_is(file),
            allowed="spec-*.fits: HDU 1 (COADD) a table with flux, loglam, ivar; HDU 2 the SPECOBJ row",
            remedy="Give spec-*.fits files (lite or full) of DR8 or later, or leave the file out. A single "
            "spSpec file is read by `whyspec explain`.",
            kind=ErrorKind.NOT_A_SPECTRUM,
        )
    file.require_columns(pixels, ("FLUX", "LOGLAM", "IVAR"))
    file.require_integers(pixels, ("AND_MASK",))
    rows = next((file.unit(name) for name in ("SPECOBJ", "SPALL") if name in file), None)
    if rows is None:
        rows = file.units[2] if len(file.units) > 2 else file.unit("SPECOBJ")
    file.require_columns(rows, ("Z", "ZWARNING"))
    file.require_integers(rows, ("PLATE", "FIELD", "MJD", "FIBERID", "ZWARNING"), ("SPECOBJID", "CATALOGID"))
    if rows.rows != 1:
        raise QuarantineError(
            "The table of the object does not have one row.",
            where=f"{file.url}, HDU {rows.name or 2}",
            got=f"{rows.rows} rows",
            allowed="1 row",
            remedy="Fetch the file again, or give the release's own file.",
            kind=ErrorKind.ROW_MISMATCH,
        )
    return pixels, rows


def describe(file: FitsFile) -> Description:
    """What a spec file holds: one spectrum, whose row says run2d and survey.

    Raises
    ------
    QuarantineError : see :func:`tables`; or its pixels are not on the grid (``wrong-grid``).
    """
    pixels, unit = tables(file)
    first_pixel(file.url, file.columns(pixels, ("LOGLAM",), 0, pixels.rows)["LOGLAM"])
    row, rows = _object_row(file, unit), Rows.empty(1)
    _name(rows.data, file, row)
    key = spectrum_key("", *(rows[name].item() for name in KEY_COLUMNS))
    named = rows["plate"][0] >= 0 and "#" not in key
    return Description(1, (_run2d(file, row), _survey(file, row), ""), key if named else "")


class OneSpectrum:
    """An open spec file: one spectrum, on the SDSS grid. Threads may read at the same time.

    Raises
    ------
    QuarantineError : see :func:`tables`.
    """

    count = 1

    def __init__(self, file: FitsFile) -> None:
        self.file = file
        self._pixels, self._unit = tables(file)

    def rows(self, start: int, stop: int) -> Rows:
        """The row of the spectrum, which is in a file of its own: read with its pixels."""
        return self.read(start, stop).rows

    def read(self, start: int, stop: int) -> Spectra:
        """Rows ``start`` to ``stop``: 0 to 1, or none."""
        return _read(self.file, self._pixels, self._unit).take(slice(start, stop))


def _read(file: FitsFile, pixels: HeaderDataUnit, unit: HeaderDataUnit) -> Spectra:
    table = file.columns(pixels, _PIXEL_COLUMNS, 0, pixels.rows)
    first = first_pixel(file.url, table["LOGLAM"])
    place = slice(first, first + pixels.rows)
    unmasked = (table["IVAR"] > 0) & np.isfinite(table["IVAR"])
    masked = MaskedPixels.empty(1)
    if "AND_MASK" in table:
        fatal = table["AND_MASK"] & FATAL_MASK
        unmasked &= fatal == 0
        masked.add(fatal[None], (fatal == 0)[None])
    good = unmasked & np.isfinite(table["FLUX"])
    flux = np.zeros((1, SDSS_GRID.size), dtype=np.float32)
    ivar = np.zeros((1, SDSS_GRID.size), dtype=np.float32)
    flux[0, place][good] = table["FLUX"][good]
    ivar[0, place][good] = table["IVAR"][good]

    rows = Rows.empty(1)
    data = rows.data
    row = _object_row(file, unit)
    _fill(data, file, row)
    data["source_row"] = 0
    data["arms"] = arm_labels(ivar)
    data["snr"] = median_snr(flux, ivar)
    data["good_fraction"] = good_fraction(ivar)
    masked.fill(data, MASKING)
    sky = "SKY" in {str(row.get(name, "")).upper() for name in ("OBJTYPE", "SOURCETYPE")}
    data["status"] = statuses(
        np.array([sky]), data["redshift"], data["zwarn"], np.array([unmasked.any()]), np.array([good.any()])
    )
    return Spectra(SDSS_GRID, flux, ivar, rows)


def _name(data: NDArray[np.void], file: FitsFile, row: dict[str, Any]) -> None:
    """Fill the columns that name the spectrum."""
    header = file.primary
    write_names(data, (_run2d(file, row), _survey(file, row), ""))
    if "PLATE" in row or header.integer("PLATEID", -1) >= 0:
        data["plate"] = row.get("PLATE", header.integer("PLATEID", -1))
    else:  # SDSS-V observes fields; in files with plates FIELD is an imaging field
        data["plate"] = row.get("FIELD", header.integer("FIELDID", -1))
    data["mjd"] = row.get("MJD", header.integer("MJD", -1))
    data["fiber"] = row.get("FIBERID", header.integer("FIBERID", -1))
    # SDSS-V names spectra by catalogue id instead of fibre.
    number = row.get("SPECOBJID" if data["fiber"] >= 0 else "CATALOGID", "")
    data["target_id"] = identifier(number.view(np.uint64) if isinstance(number, np.int64) else number)


def _fill(data: NDArray[np.void], file: FitsFile, row: dict[str, Any]) -> None:
    """Fill the columns that come from the table of the object."""
    _name(data, file, row)
    for name, columns in (("ra", ("PLUG_RA", "RA", "RACAT")), ("dec", ("PLUG_DEC", "DEC", "DECCAT"))):
        candidates = [
            *(row[column] for column in columns if column in row),
            file.primary.header.get(columns[0]),
        ]
        data[name] = next((value for value in map(number_of, candidates) if math.isfinite(value)), np.nan)
    data["healpix_29"] = healpix_29(data["ra"], data["dec"])
    data["redshift"] = number_of(row["Z"])
    data["redshift_err"] = number_of(row.get("Z_ERR"))
    data["zwarn"] = row["ZWARNING"]
    data["delta_chi2"] = number_of(row.get("RCHI2DIFF"))
    data["spectype"] = whole("spectype", row.get("CLASS", ""))
    data["subtype"] = whole("subtype", row.get("SUBCLASS", ""))
    data["spectrograph"] = spectrograph_of(row.get("SPECTROGRAPHID"))
    data["target_class"] = target_class(str(row.get("SOURCETYPE", "")), str(row.get("OBJTYPE", "")))


def _object_row(file: FitsFile, unit: HeaderDataUnit) -> dict[str, Any]:
    return {name: values[0] for name, values in file.columns(unit, _OBJECT_COLUMNS, 0, 1).items()}


def _run2d(file: FitsFile, row: dict[str, Any]) -> str:
    return str(row.get("RUN2D") or file.primary.text("RUN2D"))


def _survey(file: FitsFile, row: dict[str, Any]) -> str:
    """The survey: as the file says, else from the pipeline's version and the date."""
    if row.get("SURVEY"):
        return str(row["SURVEY"]).lower()
    return survey_of(_run2d(file, row), int(row.get("MJD", file.primary.integer("MJD"))))


def _is_image_of_spectra(file: FitsFile) -> bool:
    return bool(file.primary.shape) and "COEFF0" in file.primary.header


def _what_it_is(file: FitsFile) -> str:
    if _is_image_of_spectra(file):
        return "spectra as rows of the primary image (the spSpec or spPlate format)"
    names = ", ".join(name for name in file.names() if name)
    return f"HDUs {names}" if names else f"{len(file.units)} HDUs without names"
