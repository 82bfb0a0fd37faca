"""DESI coadds with the redshifts of redrock, from before EDR to DR2.

Formats: https://desidatamodel.readthedocs.io, checked against EDR and DR1 files. HDUs are found by
EXTNAME in any order, columns by name, and redshifts are joined on TARGETID: the rows of a redrock
file need not be those of its coadd, which may hold the redshifts itself. Identifiers and flags must be
integers; undefined ones say nothing. Exposures are joined likewise
(:mod:`engine.surveys.desi.exposure_table`).

Status of a row, the first that applies:

1. NO_TARGET: TARGETID is not positive, or OBJTYPE is NON.
2. REPEATED_TARGET: an earlier row of the file has the same TARGETID, so that redshifts and keys do not
   say which is meant.
3. SKY_FIBRE: OBJTYPE is SKY, or, where OBJTYPE is not given, bit 59 (SKY) of TARGETID is set, or the
   SKY bit of ZWARN is.
4. BAD_FIBRE: OBJTYPE is BAD, COADD_FIBERSTATUS is undefined or has a bit other than 3 (RESTRICTED,
   informational: "0 or 8 is good"), or ZWARN says UNPLUGGED.
5. NO_REDSHIFT: no row in the redrock file, or one whose ZWARN is undefined, a redshift that is not
   finite, or ZWARN says NODATA.
6. NO_GOOD_PIXELS: every pixel is masked or has no inverse variance.
7. NON_FINITE_FLUX: pixels are unmasked, but the flux of every one is NaN or infinite.
8. SCORED otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.files.fits_file import UNDEFINED, FitsFile
from engine.files.fits_headers import HeaderDataUnit, HeaderValue
from engine.files.row_windows import RowWindows
from engine.spectra.pixels import good_fraction
from engine.spectra.rows import Rows, whole
from engine.spectra.sky_position import healpix_29
from engine.spectra.spectra import Spectra
from engine.surveys.desi.arms import ARMS, JOINED_ARMS, MASKING, Arm, ArmPixels, JoinedArms, join_arms
from engine.surveys.desi.exposure_table import EXPOSURES, FIBERMAP_COLUMNS, ExposureTable
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.desi.target_classes import TARGET_BITS, target_classes
from engine.surveys.directory import name_of
from engine.surveys.reader import (
    Description,
    Names,
    contradicted,
    other_redshifts,
    repeated,
    write_names,
)
from models.errors import ErrorKind, QuarantineError
from models.row_status import RowStatus
from models.signal_to_noise import median_snr

NAME = "desi-coadd"
"""Of the reader."""

RESTRICTED = 1 << 3
_TARGETID_SKY = 1 << 59
_ZWARN_SKY, _ZWARN_UNPLUGGED, _ZWARN_NODATA = 1 << 0, 1 << 7, 1 << 9

_FIBERMAP_COLUMNS = ("TARGETID", "TARGET_RA", "TARGET_DEC", "OBJTYPE", "COADD_FIBERSTATUS")
_REDROCK_COLUMNS = ("TARGETID", "Z", "ZERR", "ZWARN", "DELTACHI2", "SPECTYPE", "SUBTYPE")

_HEALPIX_PATH = re.compile(r"/(?:healpix|spectra)/([a-z0-9]+)/([a-z0-9]+)/\d+/\d+/[^/]+$")
_HEALPIX_NAME = re.compile(r"/coadd-(cmx|main|special|sv[123])-(backup|bright|dark|other)-\d+\.fits[^/]*$")
_PIXEL_NAME = re.compile(r"coadd-[a-z][a-z0-9]*-[a-z0-9]+-(?P<pixel>\d+)\.fits(?:\.[gf]z)?")
_TILE_NAME = re.compile(
    r"coadd-(?P<petal>\d)-(?P<tile>\d+)-(?:thru\d{8}|(?P<when>(?:exp)?\d{8}))\.fits(?:\.[gf]z)?"
)
_REDUX_PATH = re.compile(r"/redux/([^/]+)/")

REDSHIFT_TABLES = ("REDSHIFTS", "ZBEST")
"""Names of the HDU of redrock's best fits: today, and before the middle of 2021."""

_CHUNK = 16
"""Spectra handled at once: their pixels of one arm stay in a core's cache."""


def recognises(file: FitsFile) -> bool:
    """Whether a file was written by DESI's pipeline: spectra by arm, a fibermap, or redshifts."""
    names = file.names()
    return any(name in names for name in ("FIBERMAP", "EXP_FIBERMAP", *REDSHIFT_TABLES)) or any(
        f"{arm}_{kind}" in names for arm in ("B", "R", "Z", "BRZ") for kind in ("FLUX", "IVAR", "WAVELENGTH")
    )


def describe(file: FitsFile) -> Description:
    """What a coadd holds, from its headers.

    Raises
    ------
    QuarantineError : see :func:`check_is_coadd`.
    """
    check_is_coadd(file)
    header = file.primary.header
    return Description(
        file.unit("FIBERMAP").rows, names_of(file.url, header), key_prefix_of(file.url, header)
    )


def units(file: FitsFile) -> list[HeaderDataUnit]:
    """The HDUs of a coadd that are read.

    Raises
    ------
    QuarantineError : see :func:`arms_of`.
    """
    kinds = ("WAVELENGTH", "FLUX", "IVAR", "MASK")
    names = ["FIBERMAP", EXPOSURES, *(f"{arm.name}_{kind}" for arm in arms_of(file) for kind in kinds)]
    return [file.unit(name) for name in names if name in file]


def arms_of(file: FitsFile) -> tuple[Arm, ...]:
    """The arms that a coadd holds, checked by headers alone.

    Raises
    ------
    QuarantineError : no arm at all, an arm without IVAR (``missing-hdu``), another number of
        pixels (``wrong-grid``), or images of different lengths (``row-mismatch``).
    """
    present = tuple(arm for arm in (*ARMS, JOINED_ARMS) if f"{arm.name}_FLUX" in file)
    if not present:
        file.unit("B_FLUX")  # raises, naming what there is
    if JOINED_ARMS in present:
        present = (JOINED_ARMS,)
    else:
        for arm in ARMS:
            if f"{arm.name}_IVAR" in file:
                file.unit(f"{arm.name}_FLUX")  # raises where of the arm the flux is lost
    count = file.unit("FIBERMAP").rows
    for arm in present:
        file.unit(f"{arm.name}_IVAR")
        for kind in ("FLUX", "IVAR", "MASK"):
            if f"{arm.name}_{kind}" not in file:
                continue
            unit = file.unit(f"{arm.name}_{kind}")
            if not unit.shape or unit.shape[-1] != arm.size or math.prod(unit.shape[1:-1]) != 1:
                raise _wrong_grid(file.url, unit.name, f"{unit.shape[-1] if unit.shape else 0} pixels", arm)
            if unit.rows != count:
                raise QuarantineError(
                    "Images and fibermap of a coadd differ in length.",
                    where=f"{file.url}, HDU {unit.name}",
                    got=f"{unit.rows} spectra",
                    allowed=f"{count}, the rows of FIBERMAP",
                    remedy="Fetch the file again: a fault while it was written or copied changed it.",
                    kind=ErrorKind.ROW_MISMATCH,
                )
    return present


def check_is_coadd(file: FitsFile) -> None:
    """Refuse what is not a coadd with one row per target.

    Raises
    ------
    QuarantineError : ``not-a-coadd``, ``missing-hdu``, ``missing-column`` or ``not-integers``.
    """
    if not any(name.endswith("_FLUX") for name in file.names()):
        if holds_redshifts(file):
            raise _not_a_coadd(file, "redshifts without spectra: a redrock file whose coadd is not beside it")
        file.unit("FIBERMAP")
        file.unit("B_FLUX")
    fibermap = file.unit("FIBERMAP")
    columns = fibermap.columns
    file.require_columns(fibermap, ("TARGETID",))
    file.require_integers(fibermap, ("TARGETID", "COADD_FIBERSTATUS"))
    if "COADD_FIBERSTATUS" not in columns and ("EXPID" in columns or "FIBERSTATUS" in columns):
        raise _not_a_coadd(file, "single exposures: FIBERMAP has EXPID or FIBERSTATUS, not COADD_FIBERSTATUS")


def holds_redshifts(file: FitsFile) -> bool:
    """Whether a file has redrock's best fits."""
    return any(name in file for name in REDSHIFT_TABLES)


def redshift_table(file: FitsFile) -> HeaderDataUnit:
    """The table of redrock's best fits in a file, checked to have TARGETID and Z."""
    unit = file.unit(next((name for name in REDSHIFT_TABLES if name in file), REDSHIFT_TABLES[0]))
    file.require_columns(unit, ("TARGETID", "Z"))
    file.require_integers(unit, ("TARGETID", "ZWARN"))
    return unit


def names_of(url: str, header: Mapping[str, HeaderValue]) -> Names:
    """specprod, survey and program of a coadd, from its primary header, else from its path.

    A tile-based coadd belongs to one tile rather than to a survey and program; where its header
    names none it gets survey ``tiles`` and the TILEID as program, so that the spectra that several
    tiles have of one target keep different keys.
    """
    path = "/" + url.replace("\\", "/").lstrip("/")
    specprod = _text(header, "SPECPROD")
    for keyword, value in header.items():
        if keyword.startswith("DEPNAM") and value == "SPECPROD":
            specprod = _text(header, f"DEPVER{keyword[6:]}")
    if not specprod and (match := _REDUX_PATH.search(path)):
        specprod = match[1]
    survey, program = _text(header, "SURVEY"), _text(header, "PROGRAM")
    if not survey and (match := _HEALPIX_PATH.search(path) or _HEALPIX_NAME.search(path)):
        survey, program = match[1], program or match[2]
    if not survey and "TILEID" in header:
        survey, program = "tiles", _text(header, "TILEID")
    return specprod, survey.lower(), program.lower()


def key_prefix_of(url: str, header: Mapping[str, HeaderValue]) -> str:
    """specprod, survey, program and what tells a coadd from others of these; empty where nothing does.

    That is the pixel, or the petal and night of a tile, by the file's name, else by its header. What holds
    all nights so far (``cumulative``) has no night: a later one is a newer version of the same spectra.
    """
    names = names_of(url, header)
    tile, group = _group_by_name(name_of(url)) or _group_by_header(header)
    if tile and names[1:] != ("tiles", tile):
        group = f"{tile}-{group}"
    return "/".join((*names, group)) if group else ""


def _group_by_name(name: str) -> tuple[str, str] | None:
    """Tile (empty for a pixel) and group of a coadd with a usual name."""
    if match := _TILE_NAME.fullmatch(name):
        return match["tile"], f"{match['petal']}-{match['when']}" if match["when"] else match["petal"]
    match = _PIXEL_NAME.fullmatch(name)
    return ("", match["pixel"]) if match else None


def _group_by_header(header: Mapping[str, HeaderValue]) -> tuple[str, str]:
    """Tile and group, both empty where the header says neither."""
    kind, value = _text(header, "SPGRP"), _text(header, "SPGRPVAL")
    if kind == "healpix" or not value:
        return "", value or _text(header, "HPXPIXEL")
    when = {"cumulative": "", "perexp": f"-exp{value:>08}"}.get(kind, f"-{value}")
    return _text(header, "TILEID"), f"{_text(header, 'PETAL')}{when}"


def _text(header: Mapping[str, HeaderValue], keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


class CoaddSpectra:
    """An open coadd: checked once, its redshifts read once, its spectra read in pieces.

    Only FIBERMAP, EXP_FIBERMAP, and FLUX, IVAR and MASK of each arm, are read, and of these, but of
    EXP_FIBERMAP, only the rows asked for. Several threads may read at the same time.

    Parameters
    ----------
    file, redshifts : the open coadd and its redshifts.
    names : specprod, survey and program, as :func:`names_of` gives them.
    start, stop : the rows that will be read, see :class:`engine.files.row_windows.RowWindows`.

    Raises
    ------
    QuarantineError : see :func:`check_is_coadd`, :func:`arms_of` and :func:`redshift_table`; or the
        redshifts are those of other targets (``row-mismatch``).
    """

    def __init__(
        self,
        file: FitsFile,
        redshifts: RedshiftTable,
        names: Names,
        start: int,
        stop: int,
    ) -> None:
        check_is_coadd(file)
        self.file, self._redshifts, self._names = file, redshifts, names
        self._arms = [(arm, images_of(file, arm)) for arm in arms_of(file)]
        self.count = file.unit("FIBERMAP").rows
        for arm, _ in self._arms:
            check_wavelengths(file, arm)
        images = [unit for _, units in self._arms for unit in units.values()]
        target_id, wanted = _targets(file)
        self._repeated = repeated(target_id)
        if wanted.any() and not np.isin(target_id[wanted], redshifts.target_id).any():
            raise other_redshifts(file.url, int(wanted.sum()), len(redshifts.target_id))
        self._target_id, self._expected = target_id, range(start, stop)
        self._exposures = ExposureTable.of(file, target_id[start:stop])
        self._windows = RowWindows(file, [file.unit("FIBERMAP"), *images], start, stop)

    def rows(self, start: int, stop: int) -> Rows:
        """What the tables say of rows ``start`` to ``stop``."""
        rows = Rows.empty(stop - start)
        self._fill(rows.data, start, stop)
        return rows

    def read(self, start: int, stop: int) -> Spectra:
        """Rows ``start`` to ``stop``, arms joined on the DESI grid."""
        joined = JoinedArms.empty(stop - start)
        rows = Rows.empty(stop - start)
        for first, last in self._windows.pieces(start, stop):
            for begin in range(first, last, _CHUNK):
                end = min(begin + _CHUNK, last)
                pixels = _arm_pixels(self.file, self._arms, begin, end)
                join_arms(pixels, joined.rows(slice(begin - start, end - start)))
            self._fill(rows.data[first - start : last - start], first, last)
        self.file.check_sums()
        data = rows.data
        data["arms"] = joined.labels()
        data["snr"] = median_snr(joined.flux, joined.ivar)
        data["good_fraction"] = good_fraction(joined.ivar)
        joined.masked.fill(data, MASKING)
        scored = data["status"] == RowStatus.SCORED
        data["status"][scored & ~joined.unmasked] = RowStatus.NO_GOOD_PIXELS
        data["status"][scored & joined.unmasked & (data["good_fraction"] == 0)] = RowStatus.NON_FINITE_FLUX
        return Spectra(DESI_GRID, joined.flux, joined.ivar, rows)

    def _fill(self, data: NDArray[np.void], start: int, stop: int) -> None:
        """Fill the columns that come from tables, and the status that they imply."""
        unit = self.file.unit("FIBERMAP")
        names = (*FIBERMAP_COLUMNS, *TARGET_BITS)
        more = [name for name in names if name in unit.columns and unit.columns[name].is_integer]
        fibermap = self.file.columns(unit, (*_FIBERMAP_COLUMNS, *more), start, stop)
        _fill(data, fibermap, self._redshifts, start, self._names)
        self._exposures_of(start, stop).fill(data, fibermap)
        data["target_class"] = target_classes({name: fibermap[name] for name in more}, len(data))
        data["status"][self._repeated[start:stop]] = RowStatus.REPEATED_TARGET

    def _exposures_of(self, start: int, stop: int) -> ExposureTable:
        if start in self._expected and stop - 1 in self._expected:
            return self._exposures
        return ExposureTable.of(self.file, self._target_id[start:stop])


def _targets(file: FitsFile) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The TARGETID of every row of a coadd, and which rows should have a redshift."""
    unit = file.unit("FIBERMAP")
    table = file.columns(unit, ("TARGETID", "OBJTYPE"), 0, unit.rows)
    target_id = table["TARGETID"].astype(np.int64)
    kind = np.char.upper(table.get("OBJTYPE", np.full(len(target_id), "TGT")))
    return target_id, (target_id > 0) & (kind == "TGT")


def images_of(file: FitsFile, arm: Arm) -> dict[str, HeaderDataUnit]:
    """The images of an arm that are read, by kind."""
    names = {kind: f"{arm.name}_{kind}" for kind in ("FLUX", "IVAR", "MASK")}
    return {kind: file.unit(name) for kind, name in names.items() if name in file}


def _arm_pixels(
    file: FitsFile, arms: Sequence[tuple[Arm, dict[str, HeaderDataUnit]]], start: int, stop: int
) -> Iterator[ArmPixels]:
    """The pixels of rows ``start`` to ``stop`` of one arm after the other."""
    for arm, units in arms:
        images = dict(zip(units, file.images([*units.values()], start, stop), strict=True))
        yield ArmPixels(arm, images["FLUX"], images["IVAR"], images.get("MASK"))


def _fill(
    data: NDArray[np.void],
    fibermap: dict[str, NDArray[Any]],
    redshifts: RedshiftTable,
    start: int,
    names: Names,
) -> None:
    """Fill the columns that come from the fibermap's columns and redrock, and the status that they imply."""
    write_names(data, names)
    data["target_id"] = fibermap["TARGETID"]
    data["source_row"] = np.arange(start, start + len(data))
    data["ra"] = fibermap.get("TARGET_RA", np.nan)
    data["dec"] = fibermap.get("TARGET_DEC", np.nan)
    data["healpix_29"] = healpix_29(data["ra"], data["dec"])
    flags = np.asarray(fibermap.get("COADD_FIBERSTATUS", 0)).astype(np.int64)
    # 32 flags, the last of which a wider column has as a positive number.
    flags = np.where((flags >= 1 << 31) & (flags < 1 << 32), flags - (1 << 32), flags)
    data["fiberstatus"] = whole("fiberstatus", flags)
    found = redshifts.join(data)
    kind = np.char.upper(fibermap.get("OBJTYPE", np.full(len(data), "", dtype="U3")))
    target_id, zwarn = data["target_id"], data["zwarn"]
    sky = (kind == "SKY") | ((kind == "") & ((target_id & _TARGETID_SKY) != 0)) | ((zwarn & _ZWARN_SKY) != 0)
    bad = (kind == "BAD") | ((data["fiberstatus"] & ~RESTRICTED) != 0) | ((zwarn & _ZWARN_UNPLUGGED) != 0)
    unknown = ~found | ~np.isfinite(data["redshift"]) | ((zwarn & _ZWARN_NODATA) != 0)
    status = np.full(len(data), RowStatus.SCORED, dtype=data["status"].dtype)
    # Weakest first: a later line overrules an earlier one.
    status[unknown] = RowStatus.NO_REDSHIFT
    status[bad] = RowStatus.BAD_FIBRE
    status[sky] = RowStatus.SKY_FIBRE
    status[(target_id <= 0) | (kind == "NON")] = RowStatus.NO_TARGET
    data["status"] = status


@dataclass(frozen=True)
class RedshiftTable:
    """Redrock's best fits, ``order`` sorting those that say something by TARGETID."""

    columns: dict[str, NDArray[Any]]
    order: NDArray[np.int64]

    @property
    def target_id(self) -> NDArray[np.int64]:
        """TARGETIDs, ascending."""
        return np.asarray(self.columns["TARGETID"][self.order])

    @classmethod
    def of(cls, file: FitsFile) -> RedshiftTable:
        """Read it from an open file.

        Raises
        ------
        QuarantineError : see :func:`redshift_table`.
        """
        unit = redshift_table(file)
        columns = file.columns(unit, _REDROCK_COLUMNS, 0, unit.rows)
        file.check_sums()
        target_id = columns["TARGETID"] = columns["TARGETID"].astype(np.int64)
        order = np.argsort(target_id, kind="stable")
        defined = (target_id != UNDEFINED) & (columns.get("ZWARN", target_id) != UNDEFINED)
        defined &= ~np.isin(target_id, contradicted(target_id[order], columns["Z"].astype(np.float64)[order]))
        return cls(columns, order[defined[order]])

    def join(self, data: NDArray[np.void]) -> NDArray[np.bool_]:
        """Fill the redshift columns by TARGETID and say for which rows there was a redrock row.

        Where redrock has several rows of one TARGETID with one redshift the first is taken. Where their
        redshifts differ none is.
        """
        if not len(self.order):
            return np.zeros(len(data), dtype=bool)
        ranked = self.target_id
        place = np.minimum(np.searchsorted(ranked, data["target_id"]), len(ranked) - 1)
        found: NDArray[np.bool_] = ranked[place] == data["target_id"]
        source = self.order[place[found]]
        for name, column in (
            ("redshift", "Z"),
            ("redshift_err", "ZERR"),
            ("zwarn", "ZWARN"),
            ("delta_chi2", "DELTACHI2"),
            ("spectype", "SPECTYPE"),
            ("subtype", "SUBTYPE"),
        ):
            if column in self.columns:
                with np.errstate(over="ignore"):  # DELTACHI2 is float64 in the file, float32 here
                    data[name][found] = whole(name, self.columns[column][source])
        return found


def check_wavelengths(file: FitsFile, arm: Arm) -> None:
    """Raise QuarantineError (``wrong-grid``) unless an arm's pixels are where the grid has them."""
    unit = file.unit(f"{arm.name}_WAVELENGTH")
    if arm.wavelength_datasum and unit.text("DATASUM") == arm.wavelength_datasum:
        return
    wavelength = file.vector(unit.name)
    expected = DESI_GRID.wavelength()[arm.first : arm.first + arm.size]
    if wavelength.shape != expected.shape:
        raise _wrong_grid(file.url, unit.name, f"{wavelength.size} wavelengths", arm)
    if not np.abs(wavelength - expected).max() < 0.01 * DESI_GRID.step:
        got = f"{wavelength[0]:.4f} to {wavelength[-1]:.4f} Angstrom"
        raise _wrong_grid(file.url, unit.name, got, arm)


def _wrong_grid(url: str, name: str, got: str, arm: Arm) -> QuarantineError:
    first, step = DESI_GRID.start + DESI_GRID.step * arm.first, DESI_GRID.step
    last = first + step * (arm.size - 1)
    return QuarantineError(
        "An arm is not on DESI's wavelength grid.",
        where=f"{url}, HDU {name}",
        got=got,
        allowed=f"{arm.size} pixels from {first:.1f} to {last:.1f} Angstrom in steps of {step}",
        remedy="Give coadds of a public production (EDR to DR2), not spectra binned or cut otherwise.",
        kind=ErrorKind.WRONG_GRID,
    )


def _not_a_coadd(file: FitsFile, got: str) -> QuarantineError:
    return QuarantineError(
        "The file is not a DESI coadd.",
        where=file.url,
        got=got,
        allowed="a coadd-*.fits file, one row per target, with its redrock-*.fits beside it",
        remedy="Give the coadd files of the release; spectra-* and lone redrock-* files are left out. One "
        "target of spectra-* files is coadded and explained by `whyspec explain`.",
        kind=ErrorKind.NOT_A_COADD,
    )
