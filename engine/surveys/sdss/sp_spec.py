"""SDSS spectra as DR7 and earlier releases published them: ``spSpec-<mjd>-<plate>-<fiber>.fit``.

https://classic.sdss.org/dr7/dm/flatFiles/spSpec.html: rows of the primary image are flux, flux without
continuum, standard deviation, and the AND mask. Wavelengths are vacuum, log10, from COEFF0 in steps of
COEFF1. The header has the class (SPEC_CLN) and the redshift (Z); a Z_STATUS of 0 or 1 says that there is no
redshift.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.files.fits_file import FitsFile
from engine.spectra.pixels import good_fraction
from engine.spectra.rows import Rows
from engine.spectra.sky_position import healpix_29
from engine.spectra.spectra import Spectra
from engine.surveys.reader import write_names
from engine.surveys.sdss.conventions import (
    FATAL_MASK,
    KEY_COLUMNS,
    arm_labels,
    first_pixel,
    number_of,
    spectrum_key,
)
from engine.surveys.sdss.grid import SDSS_GRID
from engine.surveys.single_reader import SingleReader
from models.row_status import RowStatus
from models.signal_to_noise import median_snr

RUN2D = "dr7"
"""What keys say of the reduction: the files name none as later ones do."""

_FLUX, _ERROR, _MASK, _ROWS = 0, 2, 3, 4
_CLASSES = {1: "STAR", 2: "GALAXY", 3: "QSO", 4: "QSO", 6: "STAR", 7: "GALAXY"}
_SKY = 5
_MEASURED = 2
"""Least Z_STATUS of a redshift."""


def recognises(file: FitsFile) -> bool:
    """Whether the primary image is that of one spectrum: a few rows, and the header of its redshift."""
    header, shape = file.primary.header, file.primary.shape
    few = len(shape) == 2 and _ROWS <= shape[0] <= _ROWS + 1
    return few and {"COEFF0", "COEFF1", "SPEC_CLN"} <= header.keys()


def identifiers(_file: FitsFile) -> NDArray[np.int64]:
    """One, of none: DR7 has other identifiers than later releases."""
    return np.array([-1], dtype=np.int64)


def read(file: FitsFile, _number: int) -> Spectra:
    """The spectrum on SDSS's grid.

    Raises
    ------
    QuarantineError : its wavelengths are not on the grid (``wrong-grid``).
    """
    unit = file.primary
    (image,) = file.images([unit], 0, unit.rows)
    start, step = number_of(unit.header["COEFF0"]), number_of(unit.header["COEFF1"])
    first = first_pixel(file.url, start + step * np.arange(image.shape[1]))
    error, flux = image[_ERROR].astype(np.float64), image[_FLUX].astype(np.float64)
    good = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    # A float32 for 32 bits: it has lost the lowest of them where the highest are set, none that counts here.
    good &= (np.nan_to_num(image[_MASK]).astype(np.int64) & FATAL_MASK) == 0
    place = slice(first, first + image.shape[1])
    whole_flux, ivar = np.zeros((1, SDSS_GRID.size), np.float32), np.zeros((1, SDSS_GRID.size), np.float32)
    whole_flux[0, place][good] = flux[good]
    ivar[0, place][good] = 1.0 / np.square(error[good])
    return Spectra(SDSS_GRID, whole_flux, ivar, _rows(file, whole_flux, ivar))


def _rows(file: FitsFile, flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> Rows:
    header, rows = file.primary.header, Rows.empty(1)
    data = rows.data
    write_names(data, (RUN2D, "sdss", ""))
    for name, keyword in (("plate", "PLATEID"), ("mjd", "MJD"), ("fiber", "FIBERID")):
        data[name] = file.primary.integer(keyword, -1)
    data["ra"], data["dec"] = number_of(header.get("RAOBJ")), number_of(header.get("DECOBJ"))
    data["healpix_29"] = healpix_29(data["ra"], data["dec"])
    data["redshift"], data["redshift_err"] = number_of(header.get("Z")), number_of(header.get("Z_ERR"))
    kind = file.primary.integer("SPEC_CLN", 0)
    data["spectype"] = _CLASSES.get(kind, "")
    data["source_row"] = 0
    data["key"] = spectrum_key(RUN2D, *(data[name][0].item() for name in KEY_COLUMNS))
    data["arms"], data["snr"] = arm_labels(ivar), median_snr(flux, ivar)
    data["good_fraction"] = good_fraction(ivar)
    measured = file.primary.integer("Z_STATUS", _MEASURED) >= _MEASURED
    known = measured and bool(np.isfinite(data["redshift"][0]))
    data["status"] = (
        RowStatus.SKY_FIBRE if kind == _SKY else RowStatus.SCORED if known else RowStatus.NO_REDSHIFT
    )
    return rows


SP_SPEC = SingleReader(
    title="SDSS spSpec-*.fit (DR7 and earlier)",
    recognises=recognises,
    identifiers=identifiers,
    read=read,
)
