"""SDSS spectra, one per file: ``spec-*.fits``, full and lite, from SDSS-I to SDSS-V.

Formats: https://data.sdss.org/datamodel, checked against 220 files of run2d 26, 104 and v5. HDUs are
found by EXTNAME (COADD; SPECOBJ or SPALL) or, in the many files that name none, by position; columns
by name in any case.

A pixel is good if ivar is positive, flux and ivar are finite, and AND_MASK (bits that every exposure
set) has none of :data:`FATAL_MASK`. Masking on any AND_MASK bit, as some readers do, would throw away
half of each spectrum whose CCD has MANYBADCOLUMNS; masking on none keeps the residuals of bright sky
lines, the most frequent artefact there is. What OR_MASK says of single exposures is left to ivar.

Status of a row, the first that applies:

1. SKY_FIBRE: OBJTYPE or SOURCETYPE is SKY, or the SKY bit of ZWARNING is set.
2. BAD_FIBRE: ZWARNING says UNPLUGGED.
3. NO_REDSHIFT: the redshift is not finite, or ZWARNING says NODATA.
4. NO_GOOD_PIXELS: every pixel is masked or has no inverse variance.
5. NON_FINITE_FLUX: pixels are unmasked, but the flux of every one is NaN or infinite.
6. SCORED otherwise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.readers.fits_file import FitsFile
from engine.readers.fits_headers import HeaderDataUnit
from engine.readers.signal_to_noise import good_fraction, median_snr
from engine.readers.sky_position import healpix_29
from engine.rows import Rows
from engine.spectra import Spectra
from models.errors import QuarantineError
from models.grid import SDSS_GRID
from models.row_status import RowStatus

READER = "sdss-spec"

FATAL_MASK = sum(
    1 << bit
    for bit in (
        0,  # NOPLUG
        1,  # BADTRACE
        2,  # BADFLAT
        3,  # BADARC
        18,  # FULLREJECT
        22,  # NOSKY
        23,  # BRIGHTSKY
        24,  # NODATA
    )
)
"""Bits of AND_MASK (SPPIXMASK) that make a pixel unusable."""

_ZWARNING_SKY, _ZWARNING_UNPLUGGED, _ZWARNING_NODATA = 1 << 0, 1 << 7, 1 << 9
_SDSS_IV_BEGINS = 56839  # MJD of 2014-07-01, when eBOSS took over the BOSS spectrographs
_PIXEL_COLUMNS = ("FLUX", "LOGLAM", "IVAR", "AND_MASK")
_OBJECT_COLUMNS = (
    "SPECOBJID", "CATALOGID", "PLATE", "FIELD", "MJD", "FIBERID", "RUN2D", "SURVEY", "OBJTYPE", "SOURCETYPE",
    "PLUG_RA", "PLUG_DEC", "RA", "DEC", "RACAT", "DECCAT",
    "Z", "Z_ERR", "ZWARNING", "CLASS", "SUBCLASS", "RCHI2DIFF",
)  # fmt: skip

# The dichroics cross over near 6000 Angstrom; outside this range a pixel has seen one camera only
# (SDSS-I/II 5800-6150, BOSS 5600-6350: Smee et al. 2013, AJ 146, 32).
_BLUE_ALONE = slice(0, int(SDSS_GRID.pixel(5600.0)))
_RED_ALONE = slice(int(SDSS_GRID.pixel(6350.0)) + 1, None)


def tables(file: FitsFile) -> tuple[HeaderDataUnit, HeaderDataUnit]:
    """The HDUs of the pixels and of the object.

    Raises
    ------
    QuarantineError : ``not-a-spectrum``, ``missing-hdu`` or ``missing-column``.
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
            remedy="Give spec-*.fits files (lite or full) of DR8 or later, or leave the file out.",
            kind="not-a-spectrum",
        )
    file.require_columns(pixels, ("FLUX", "LOGLAM", "IVAR"))
    rows = next((file.unit(name) for name in ("SPECOBJ", "SPALL") if name in file), None)
    if rows is None:
        rows = file.units[2] if len(file.units) > 2 else file.unit("SPECOBJ")
    file.require_columns(rows, ("Z", "ZWARNING"))
    if rows.rows != 1:
        raise QuarantineError(
            "The table of the object does not have one row.",
            where=f"{file.url}, HDU {rows.name or 2}",
            got=f"{rows.rows} rows",
            allowed="1 row",
            remedy="Fetch the file again, or give the release's own file.",
            kind="row-mismatch",
        )
    return pixels, rows


def first_pixel(file: FitsFile, loglam: NDArray[np.float32]) -> int:
    """Where on the grid a spectrum begins, from its log10 wavelengths.

    Raises
    ------
    QuarantineError : steps other than 1e-4, or outside the grid (``wrong-grid``).
    """
    place = (loglam.astype(np.float64) - SDSS_GRID.start) / SDSS_GRID.step
    first = int(np.rint(place[0])) if place.size and np.isfinite(place[0]) else -1
    # float32 holds loglam to 2.4e-7, which is 0.0024 pixels.
    regular = place.size > 0 and bool(np.all(np.abs(place - (first + np.arange(place.size))) < 0.02))
    if not regular or first < 0 or first + place.size > SDSS_GRID.size:
        last_allowed = SDSS_GRID.start + SDSS_GRID.step * (SDSS_GRID.size - 1)
        ends = f"log10 wavelength {loglam[0]:.4f} to {loglam[-1]:.4f} in " if place.size else ""
        raise QuarantineError(
            "The spectrum does not fit SDSS's wavelength grid.",
            where=file.url,
            got=f"{ends}{place.size} pixels",
            allowed=f"steps of {SDSS_GRID.step} in log10 wavelength, {SDSS_GRID.start} to {last_allowed:.2f}",
            remedy="Give the survey's own spectra, not resampled ones.",
            kind="wrong-grid",
        )
    return first


def check_grid(file: FitsFile) -> None:
    """Raise QuarantineError unless the file is a spectrum that :func:`read` can place on the grid."""
    pixels, _ = tables(file)
    first_pixel(file, file.columns(pixels, ("LOGLAM",), 0, pixels.rows)["LOGLAM"])


def identity(file: FitsFile) -> tuple[str, str, str]:
    """run2d, survey and (always empty) program of a spectrum."""
    _, unit = tables(file)
    row = _object_row(file, unit)
    return _run2d(file, row), _survey(file, row), ""


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

    def read(self, start: int, stop: int) -> Spectra:
        """Rows ``start`` to ``stop``: 0 to 1, or none."""
        return _read(self.file, self._pixels, self._unit).take(slice(start, stop))


def _read(file: FitsFile, pixels: HeaderDataUnit, unit: HeaderDataUnit) -> Spectra:
    table = file.columns(pixels, _PIXEL_COLUMNS, 0, pixels.rows)
    first = first_pixel(file, table["LOGLAM"])
    place = slice(first, first + pixels.rows)
    unmasked = (table["IVAR"] > 0) & np.isfinite(table["IVAR"])
    if "AND_MASK" in table:
        unmasked &= (table["AND_MASK"] & FATAL_MASK) == 0
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
    data["arms"] = ("b" if ivar[0, _BLUE_ALONE].any() else "") + ("r" if ivar[0, _RED_ALONE].any() else "")
    data["snr"] = median_snr(flux, ivar)
    data["good_fraction"] = good_fraction(ivar)
    data["status"] = _status(row, data, bool(unmasked.any()), bool(good.any()))
    return Spectra(SDSS_GRID, flux, ivar, rows)


def _fill(data: NDArray[np.void], file: FitsFile, row: dict[str, Any]) -> None:
    header = file.primary
    data["specprod"], data["survey"] = _run2d(file, row), _survey(file, row)
    data["target_id"] = _identifier(row.get("SPECOBJID"))
    if "PLATE" in row or "PLATEID" in header.header:
        data["plate"] = row.get("PLATE", header.integer("PLATEID", -1))
    else:  # SDSS-V observes fields; in files with plates FIELD is an imaging field
        data["plate"] = row.get("FIELD", header.integer("FIELDID", -1))
    data["mjd"] = row.get("MJD", header.integer("MJD", -1))
    data["fiber"] = row.get("FIBERID", header.integer("FIBERID", -1))
    if data["fiber"] < 0:  # SDSS-V names spectra by catalogue id instead of fibre
        data["target_id"] = _identifier(row.get("CATALOGID"))
    for name, columns in (("ra", ("PLUG_RA", "RA", "RACAT")), ("dec", ("PLUG_DEC", "DEC", "DECCAT"))):
        candidates = [*(row[column] for column in columns if column in row), header.header.get(columns[0])]
        data[name] = next((value for value in map(_number, candidates) if math.isfinite(value)), np.nan)
    data["healpix_29"] = healpix_29(data["ra"], data["dec"])
    data["redshift"] = _number(row["Z"])
    data["redshift_err"] = _number(row.get("Z_ERR"))
    data["zwarn"] = row["ZWARNING"]
    data["delta_chi2"] = _number(row.get("RCHI2DIFF"))
    data["spectype"], data["subtype"] = row.get("CLASS", ""), row.get("SUBCLASS", "")


def _status(row: dict[str, Any], data: NDArray[np.void], unmasked: bool, good: bool) -> RowStatus:
    zwarning = int(row["ZWARNING"])
    kinds = {str(row.get(name, "")).upper() for name in ("OBJTYPE", "SOURCETYPE")}
    if "SKY" in kinds or zwarning & _ZWARNING_SKY:
        return RowStatus.SKY_FIBRE
    if zwarning & _ZWARNING_UNPLUGGED:
        return RowStatus.BAD_FIBRE
    if not np.isfinite(data["redshift"][0]) or zwarning & _ZWARNING_NODATA:
        return RowStatus.NO_REDSHIFT
    if not unmasked:
        return RowStatus.NO_GOOD_PIXELS
    return RowStatus.SCORED if good else RowStatus.NON_FINITE_FLUX


def _object_row(file: FitsFile, unit: HeaderDataUnit) -> dict[str, Any]:
    return {name: values[0] for name, values in file.columns(unit, _OBJECT_COLUMNS, 0, 1).items()}


def _run2d(file: FitsFile, row: dict[str, Any]) -> str:
    return str(row.get("RUN2D") or file.primary.text("RUN2D"))


def _survey(file: FitsFile, row: dict[str, Any]) -> str:
    """The survey: as the file says, else from the pipeline's version and the date."""
    if row.get("SURVEY"):
        return str(row["SURVEY"]).lower()
    if _run2d(file, row).isdigit():
        return "sdss"
    return "boss" if int(row.get("MJD", file.primary.integer("MJD"))) < _SDSS_IV_BEGINS else "eboss"


def _identifier(value: object) -> int:
    """A 64-bit identifier as int64, from an integer or digits; -1 where there is none.

    SPECOBJIDs of plates above 8191 need all 64 bits: they keep their bits and come out negative.
    """
    try:
        number = int(str(value).strip())
    except ValueError:
        return -1
    if not 0 <= number < 1 << 64:
        return -1
    return number - (1 << 64) if number >= 1 << 63 else number


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, (int, float, np.number)) else float(str(value))
    except ValueError:
        return math.nan


def _what_it_is(file: FitsFile) -> str:
    if file.primary.shape and "COEFF0" in file.primary.header:
        return "spectra as rows of the primary image (the spSpec or spPlate format)"
    names = ", ".join(name for name in file.names() if name)
    return f"HDUs {names}" if names else f"{len(file.units)} HDUs without names"
