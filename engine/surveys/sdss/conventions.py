"""Conventions of SDSS spectra in every form in which they are published: bits, names, the grid."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.files.fits_file import UNDEFINED
from engine.surveys.sdss.grid import SDSS_GRID
from engine.surveys.survey import target_key
from models.errors import ErrorKind, QuarantineError
from models.row_status import RowStatus

MASKING = {
    0: "NOPLUG",
    1: "BADTRACE",
    2: "BADFLAT",
    3: "BADARC",
    18: "FULLREJECT",
    22: "NOSKY",
    23: "BRIGHTSKY",
    24: "NODATA",
}
"""Bits of the AND mask (SPPIXMASK) that make a pixel unusable.

Masking on any bit, as some readers do, would throw away half of each spectrum whose CCD has
MANYBADCOLUMNS, and pixels that repeat as well as others. Masking on none keeps the residuals of bright sky
lines, the most frequent artefact there is. docs/decisions/0040-mask-bits-by-repeats.md has the evidence, and
the bits that no real spectrum here sets. What the OR mask says of single exposures is left to ivar.
"""

FATAL_MASK = sum(1 << bit for bit in MASKING)

_ZWARNING_SKY, _ZWARNING_UNPLUGGED, _ZWARNING_NODATA = 1 << 0, 1 << 7, 1 << 9
_SDSS_IV_BEGINS = 56839  # MJD of 2014-07-01, when eBOSS took over the BOSS spectrographs

# The dichroics cross over near 6000 Angstrom; outside this range a pixel has seen one camera only
# (SDSS-I/II 5800-6150, BOSS 5600-6350: Smee et al. 2013, AJ 146, 32).
_BLUE_ALONE = slice(0, int(SDSS_GRID.pixel(5600.0)))
_RED_ALONE = slice(int(SDSS_GRID.pixel(6350.0)) + 1, None)


SDSS_SPECTROGRAPH, BOSS_SPECTROGRAPH = (3830.0, 9180.0), (3620.0, 10300.0)
"""Wavelengths in Angstrom that every spectrum of these has; the grid that they share is wider."""

_OF_FIRST_SPECTROGRAPH = ("sdss", "segue1", "segue2")
"""Surveys, as rows name them, with the first spectrograph; all later ones used that of BOSS."""


def coverage(survey: str) -> tuple[float, float]:
    """Least and largest wavelength, in Angstrom, of every spectrum of a survey, as rows name it."""
    return SDSS_SPECTROGRAPH if survey in _OF_FIRST_SPECTROGRAPH else BOSS_SPECTROGRAPH


KEY_COLUMNS = ("specprod", "plate", "mjd", "fiber", "target_id", "source_row")
"""The columns of a row that name its spectrum."""


def plate_key(run2d: str, plate: int, mjd: int) -> str:
    """``run2d/plate-mjd``, or of a field; empty where there is none."""
    return f"{run2d}/{plate:04d}-{mjd}" if plate >= 0 else ""


def spectrum_key(
    prefix: str, run2d: str, plate: int, mjd: int, fiber: int, target_id: int, source_row: int
) -> str:
    """``run2d/plate-mjd-fiber``, and ``run2d/field-mjd-catalogid`` where SDSS-V gives no fibre.

    Where the file gives no plate or field, or could not be read, see
    :func:`engine.surveys.survey.target_key`; without a fibre and a target the place in the file is added.
    """
    if plate < 0:
        return target_key(prefix, target_id, source_row)
    last = f"{fiber:04d}" if fiber >= 0 else f"{target_id}" if target_id > 0 else f"#{source_row}"
    return f"{plate_key(run2d, plate, mjd)}-{last}"


def first_pixel(url: str, loglam: NDArray[np.float32] | NDArray[np.float64]) -> int:
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
            where=url,
            got=f"{ends}{place.size} pixels",
            allowed=f"steps of {SDSS_GRID.step} in log10 wavelength, {SDSS_GRID.start} to {last_allowed:.2f}",
            remedy="Give the survey's own spectra, not resampled ones.",
            kind=ErrorKind.WRONG_GRID,
        )
    return first


def survey_of(run2d: str, mjd: int) -> str:
    """The survey, from the pipeline's version and the date: sdss, boss or eboss."""
    if run2d.isdigit():
        return "sdss"
    return "boss" if mjd < _SDSS_IV_BEGINS else "eboss"


def arm_labels(ivar: NDArray[np.float32]) -> NDArray[np.str_]:
    """Letters of the arms that hold data, ``"br"``, ``"b"``, ``"r"`` or none, per spectrum on the grid."""
    codes = ivar[:, _BLUE_ALONE].any(axis=1) + 2 * ivar[:, _RED_ALONE].any(axis=1)
    labels: NDArray[np.str_] = np.array(["", "b", "r", "br"])[codes]
    return labels


def statuses(
    sky: NDArray[np.bool_],
    redshift: NDArray[np.float64],
    zwarning: NDArray[np.int64],
    unmasked: NDArray[np.bool_],
    good: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """The status of each spectrum, the first that applies.

    1. SKY_FIBRE: the fibre was meant to see sky (``sky``), or the SKY bit of ZWARNING is set.
    2. BAD_FIBRE: ZWARNING says UNPLUGGED.
    3. NO_REDSHIFT: the redshift is not finite, or ZWARNING is undefined or says NODATA.
    4. NO_GOOD_PIXELS: every pixel is masked or has no inverse variance (not ``unmasked``).
    5. NON_FINITE_FLUX: pixels are unmasked, but the flux of every one is NaN or infinite (not ``good``).
    6. SCORED otherwise.
    """
    status = np.full(len(sky), RowStatus.SCORED, dtype=np.uint8)
    zwarning = np.where(zwarning == UNDEFINED, _ZWARNING_NODATA, zwarning)
    # Weakest first: a later line overrules an earlier one.
    status[~good] = RowStatus.NON_FINITE_FLUX
    status[~unmasked] = RowStatus.NO_GOOD_PIXELS
    status[~np.isfinite(redshift) | ((zwarning & _ZWARNING_NODATA) != 0)] = RowStatus.NO_REDSHIFT
    status[(zwarning & _ZWARNING_UNPLUGGED) != 0] = RowStatus.BAD_FIBRE
    status[sky | ((zwarning & _ZWARNING_SKY) != 0)] = RowStatus.SKY_FIBRE
    return status


def spec_obj_id(plate: int, mjd: int, fiber: int, run2d: str) -> int:
    """SPECOBJID as the catalogues have it.

    Plate from bit 50, fibre from 38, MJD - 50000 from 24, run2d from 10.
    A run2d ``vN_M_P`` counts as (N - 5) * 10000 + M * 100 + P
    (https://www.sdss4.org/dr17/help/glossary/#specobj). -1 for a run2d of another form.
    """
    if run2d.isdigit():
        code = int(run2d)
    else:
        parts = run2d.removeprefix("v").split("_")
        if len(parts) != 3 or not all(part.isdigit() for part in parts):
            return -1
        major, minor, patch = map(int, parts)
        code = (major - 5) * 10_000 + minor * 100 + patch
    return plate << 50 | fiber << 38 | (mjd - 50_000) << 24 | code << 10


def identifier(value: object) -> int:
    """A 64-bit identifier as int64, from an integer or digits; -1 where there is none.

    SPECOBJIDs of plates above 8191 need all 64 bits: they keep their bits and come out negative.

    Raises
    ------
    ValueError : a text that is neither blank, nor -1, nor an integer of 64 bits.
    """
    text = str(value).strip() or "-1"
    if not (text.isdecimal() or isinstance(value, (int, np.integer)) or text == "-1"):
        raise ValueError(f"{text} is no identifier")
    number = int(text)
    if number >= 1 << 64:
        raise ValueError(f"{text} has more than 64 bits")
    if number < 0:
        return -1
    return number - (1 << 64) if number >= 1 << 63 else number


def number_of(value: object) -> float:
    """A number from a number or text; NaN where there is none."""
    try:
        return float(value) if isinstance(value, (int, float, np.number)) else float(str(value))
    except ValueError:
        return math.nan


def spectrograph_of(value: object) -> int:
    """SPECTROGRAPHID, 1 or 2; -1 where the file says neither."""
    number = number_of(value)
    return int(number) if number in (1.0, 2.0) else -1


def target_class(source_type: str, object_type: str) -> str:
    """What a spectrum was targeted as: SOURCETYPE, else OBJTYPE; empty where they say nothing ("NA")."""
    return next((text for text in (source_type, object_type) if text not in ("", "NA")), "")
