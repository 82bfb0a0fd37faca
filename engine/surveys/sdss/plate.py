"""SDSS spectra by plate or field: ``spPlate-*.fits`` (to DR17) and ``spField-*.fits`` (DR18 to DR20).

Formats: https://data.sdss.org/datamodel. HDU 0 is the flux image, one row per fibre or target, on a grid
that its header gives (COEFF0, COEFF1); then IVAR, ANDMASK, ORMASK, WAVEDISP and the table PLUGMAP, found by
EXTNAME or, where there is none, by position. Of these flux, IVAR, ANDMASK and PLUGMAP are read.

Redshifts are in ``spZbest-*.fits``, HDU 1, and are joined by FIBERID on a plate, by TARGET_INDEX or
CATALOGID in a field, never by the order of rows. Without a row in it a spectrum has no redshift. Pixels,
keys and redshifts are those of :mod:`engine.surveys.sdss.spec` for the same spectrum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.files.byte_ranges import Range
from engine.files.fits_file import FitsFile
from engine.files.fits_headers import BLOCK, HEADER_READ, HeaderDataUnit, PrefetchPlan, padded, row_range
from engine.files.row_windows import RowWindows, window_rows
from engine.spectra.masked_pixels import MaskedPixels
from engine.spectra.pixels import good_fraction, is_zero, keep, new_pair
from engine.spectra.rows import Rows, whole
from engine.spectra.sky_position import healpix_29
from engine.spectra.spectra import Spectra
from engine.surveys.reader import (
    Description,
    Names,
    contradicted,
    other_redshifts,
    repeated,
    write_names,
)
from engine.surveys.sdss.conventions import (
    FATAL_MASK,
    MASKING,
    arm_labels,
    first_pixel,
    identifier,
    plate_key,
    spec_obj_id,
    spectrograph_of,
    statuses,
    survey_of,
    target_class,
)
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ErrorKind, QuarantineError
from models.row_status import RowStatus
from models.signal_to_noise import median_snr

NAME = "sdss-plate"
"""Of the reader."""

_IVAR, _AND_MASK, _PLUGMAP = ("IVAR", 1), ("ANDMASK", 2), ("PLUGMAP", 5)
_PLUGMAP_COLUMNS = (
    "FIBERID", "TARGET_INDEX", "CATALOGID", "ICATALOGID", "OBJTYPE", "SOURCETYPE", "SURVEY", "RA", "DEC",
    "SPECTROGRAPHID",
)  # fmt: skip
_JOINED_BY = ("TARGET_INDEX", "FIBERID", "CATALOGID")
_REDSHIFT_COLUMNS = (
    *_JOINED_BY, "PLATE", "MJD", "SPECOBJID", "OBJTYPE", "PLUG_RA", "PLUG_DEC",
    "Z", "Z_ERR", "ZWARNING", "CLASS", "SUBCLASS", "RCHI2DIFF",
)  # fmt: skip
_CHUNK = 16
"""Spectra handled at once: their pixels stay in a core's cache."""


def recognises(file: FitsFile) -> bool:
    """Whether a file is an image of spectra with a table of their fibres or targets."""
    if len(file.primary.shape) != 2 or "COEFF0" not in file.primary.header:
        return False
    table = _find(file, *_PLUGMAP)
    return table is not None and any(name in table.columns for name in _JOINED_BY)


def describe(file: FitsFile) -> Description:
    """What a plate or field holds, from its headers.

    Its primary header, where idlspec2d notes when and by what the spectra were coadded, stands for the images
    in the fingerprint: they carry no DATASUM, and are too large to be read for a listing.

    Raises
    ------
    QuarantineError : see :class:`PlateUnits`.
    """
    header = hashlib.sha256(file.primary.raw_header).hexdigest()
    names = _names(file)
    prefix = plate_key(names[0], *_plate_and_mjd(file))
    return Description(PlateUnits.of(file).flux.rows, names, prefix, (header,))


def units(file: FitsFile) -> list[HeaderDataUnit]:
    """The HDUs that are read and that the fingerprint covers: the images only where they carry a DATASUM.

    Raises
    ------
    QuarantineError : see :class:`PlateUnits`.
    """
    plate = PlateUnits.of(file)
    images = [unit for unit in (plate.flux, plate.ivar, plate.and_mask) if unit.text("DATASUM")]
    return [*images, plate.plugmap]


@dataclass(frozen=True)
class PlateUnits:
    """The HDUs that are read, and where the spectra lie on the grid.

    Attributes
    ----------
    first : grid pixel of the images' first column.
    """

    flux: HeaderDataUnit
    ivar: HeaderDataUnit
    and_mask: HeaderDataUnit
    plugmap: HeaderDataUnit
    first: int

    @classmethod
    def of(cls, file: FitsFile) -> PlateUnits:
        """Find and check them.

        Raises
        ------
        QuarantineError : ``missing-hdu``, ``row-mismatch``, ``not-integers`` or ``wrong-grid``.
        """
        flux, pixels = file.primary, file.primary.shape[-1]
        ivar, and_mask, plugmap = (_unit(file, *place) for place in (_IVAR, _AND_MASK, _PLUGMAP))
        for unit in (ivar, and_mask, plugmap):
            wanted = (flux.rows,) if unit is plugmap else flux.shape
            found = (unit.rows,) if unit is plugmap else unit.shape
            if found != wanted:
                raise QuarantineError(
                    "The images and the plugmap of a plate differ in size.",
                    where=f"{file.url}, HDU {unit.name or file.units.index(unit)}",
                    got=" x ".join(map(str, found)),
                    allowed=" x ".join(map(str, wanted)) + ", as the flux image in HDU 0",
                    remedy="Fetch the file again: a fault while it was written or copied changed it.",
                    kind=ErrorKind.ROW_MISMATCH,
                )
        file.require_integers(plugmap, ("FIBERID", "TARGET_INDEX"), ("CATALOGID", "ICATALOGID"))
        start, step = (float(str(flux.header.get(name, "nan"))) for name in ("COEFF0", "COEFF1"))
        return cls(flux, ivar, and_mask, plugmap, first_pixel(file.url, start + step * np.arange(pixels)))


def prefetch_plate(start: int, stop: int) -> PrefetchPlan:
    """The plan for a reader of rows ``start`` to ``stop`` of a plate or field.

    Images follow each other, each under a header of one block; see :mod:`engine.surveys.desi.coadd_prefetch`.
    """

    def plan(units: Sequence[HeaderDataUnit], size: int | None) -> list[Range]:
        flux, last = units[0], units[-1]
        if len(flux.shape) != 2 or "COEFF0" not in flux.header or size is None:
            return []
        if last is flux:
            end = min(stop, start + window_rows(3 * flux.row_bytes))
            ranges, position = [row_range(flux, start, end)], flux.end
            for number in range(1, 5):
                data = position + BLOCK
                ranges.append((position, HEADER_READ))
                if number in (_IVAR[1], _AND_MASK[1]):
                    ranges.append((data + start * flux.row_bytes, (end - start) * flux.row_bytes))
                position = data + padded(flux.data_size)
            return [*ranges, (position, 4 * HEADER_READ)]
        if last.is_table:
            end = min(stop, start + window_rows(3 * flux.row_bytes + last.row_bytes))
            behind = last.end + BLOCK + padded(flux.data_size)  # SKY, then SPECRESL in fields
            return [row_range(last, start, end), (last.end, HEADER_READ), (behind, HEADER_READ)]
        return []

    return plan


def _names(file: FitsFile) -> Names:
    """run2d, survey and (always empty) program of a plate or field."""
    run2d = file.primary.text("RUN2D")
    if _is_field(file):
        return run2d, "sdssv", ""
    return run2d, survey_of(run2d, file.primary.integer("MJD")), ""


def _plate_and_mjd(file: FitsFile) -> tuple[int, int]:
    """The plate or field, and the date; -1 where the header does not say.

    Raises
    ------
    ValueError : it says something else than a positive integer.
    """
    found = []
    for keyword in ("FIELDID" if _is_field(file) else "PLATEID", "MJD"):
        text = file.primary.text(keyword)
        if text and not (text.isdecimal() and int(text) > 0):
            raise ValueError(f"{keyword} is {text}")
        found.append(int(text or -1))
    return found[0], found[1]


@dataclass(frozen=True)
class BestFits:
    """The best fits of an spZbest file, ready to be joined; ``by`` is the column that joins them."""

    columns: dict[str, NDArray[Any]]

    @property
    def count(self) -> int:
        """Number of best fits."""
        return len(self.columns["Z"])

    @classmethod
    def of(cls, file: FitsFile) -> BestFits:
        """Read them from an open spZbest file.

        Raises
        ------
        QuarantineError : see :func:`redshift_table`.
        """
        unit = redshift_table(file)
        return cls(file.columns(unit, _REDSHIFT_COLUMNS, 0, unit.rows))

    def of_plate(self, plate: int, mjd: int) -> BestFits:
        """Those of one plate on one date, as far as the table says whose they are."""
        keep = np.ones(self.count, dtype=bool)
        for name, number in (("PLATE", plate), ("MJD", mjd)):
            if name in self.columns and number >= 0:
                keep &= self.columns[name] == number
        return BestFits({name: values[keep] for name, values in self.columns.items()})

    def rows_of(self, plugmap: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
        """The row of each spectrum in the table; -1 where there is none, or several of other redshifts."""
        by = next((name for name in _JOINED_BY if name in plugmap and name in self.columns), "")
        if not by:
            return np.full(len(next(iter(plugmap.values()))), -1)
        keys = np.array([identifier(key) for key in self.columns[by].tolist()], dtype=np.int64)
        order = np.argsort(keys, kind="stable")
        several = contradicted(keys[order], self.columns["Z"][order])
        known: dict[int, int] = {}
        for row in np.flatnonzero((keys >= 0) & ~np.isin(keys, several)).tolist():
            known.setdefault(int(keys[row]), row)
        return np.array([known.get(identifier(key), -1) for key in plugmap[by].tolist()], dtype=np.int64)


def redshift_table(file: FitsFile) -> HeaderDataUnit:
    """The table of best fits of an spZbest file, checked to have redshifts and what joins them.

    Raises
    ------
    QuarantineError : ``missing-hdu``, ``missing-column`` or ``not-integers``.
    """
    unit = _unit(file, "SPZBEST", 1)
    file.require_columns(unit, ("Z", "ZWARNING"))
    file.require_integers(unit, ("FIBERID", "TARGET_INDEX", "ZWARNING"), ("CATALOGID",))
    if not any(name in unit.columns for name in _JOINED_BY):
        file.require_columns(unit, ("FIBERID",))
    return unit


class PlateSpectra:
    """An open plate or field: checked once, its redshifts read once, its spectra read in pieces.

    Several threads may read at the same time.

    Parameters
    ----------
    file : the open spPlate or spField file.
    fits : of its spZbest file.
    names : run2d, survey and (always empty) program.
    start, stop : the rows that will be read, see :class:`engine.files.row_windows.RowWindows`.

    Raises
    ------
    QuarantineError : see :class:`PlateUnits`; or the redshifts are those of others (``row-mismatch``).
    """

    def __init__(self, file: FitsFile, fits: BestFits, names: Names, start: int, stop: int) -> None:
        self.file, self._names = file, names
        # The tables of fields have no plates.
        self._fits = fits if _is_field(file) else fits.of_plate(*_plate_and_mjd(file))
        self._units = units = PlateUnits.of(file)
        self.count = units.flux.rows
        images = (units.flux, units.ivar, units.and_mask)
        plugmap = file.columns(units.plugmap, _PLUGMAP_COLUMNS, 0, self.count)
        if self.count and not (self._fits.rows_of(plugmap) >= 0).any():
            raise other_redshifts(file.url, self.count, fits.count)
        self._repeated = repeated(_identifiers(plugmap))
        self._windows = RowWindows(file, [*images, units.plugmap], start, stop)

    def rows(self, start: int, stop: int) -> Rows:
        """What the tables say of rows ``start`` to ``stop``."""
        rows = Rows.empty(stop - start)
        data = rows.data
        self._fill(data, start, stop)
        pixels = np.ones(len(data), dtype=bool)
        data["status"] = statuses(
            data["status"].astype(bool), data["redshift"], data["zwarn"], pixels, pixels
        )
        data["status"][self._repeated[start:stop]] = RowStatus.REPEATED_TARGET
        return rows

    def read(self, start: int, stop: int) -> Spectra:
        """Rows ``start`` to ``stop`` on the SDSS grid."""
        count, units = stop - start, self._units
        flux, ivar = new_pair(count, SDSS_GRID.size)
        unmasked, masked = np.zeros(count, dtype=bool), MaskedPixels.empty(count)
        rows = Rows.empty(count)
        place = slice(units.first, units.first + units.flux.shape[-1])
        for first, last in self._windows.pieces(start, stop):
            for begin in range(first, last, _CHUNK):
                end = min(begin + _CHUNK, last)
                part = slice(begin - start, end - start)
                images = self.file.images((units.flux, units.ivar, units.and_mask), begin, end)
                unmasked[part] = _place(images, flux[part, place], ivar[part, place], masked.rows(part))
            self._fill(rows.data[first - start : last - start], first, last)
        data = rows.data
        data["arms"] = arm_labels(ivar)
        data["snr"] = median_snr(flux, ivar)
        data["good_fraction"] = good_fraction(ivar)
        masked.fill(data, MASKING)
        sky = data["status"].astype(bool)
        data["status"] = statuses(sky, data["redshift"], data["zwarn"], unmasked, data["good_fraction"] > 0)
        data["status"][self._repeated[start:stop]] = RowStatus.REPEATED_TARGET
        return Spectra(SDSS_GRID, flux, ivar, rows)

    def _fill(self, data: NDArray[np.void], start: int, stop: int) -> None:
        """Fill the columns that come from the tables; ``status`` is 1 for sky fibres, 0 for others."""
        plugmap = self.file.columns(self._units.plugmap, _PLUGMAP_COLUMNS, start, stop)
        write_names(data, self._names)
        if _is_field(self.file) and "SURVEY" in plugmap:
            given = np.char.lower(plugmap["SURVEY"])
            data["survey"] = whole("survey", np.where(given == "", data["survey"], given))
        data["plate"], data["mjd"] = _plate_and_mjd(self.file)
        data["fiber"] = whole("fiber", plugmap.get("FIBERID", -1))
        data["source_row"] = np.arange(start, stop)
        data["ra"], data["dec"] = plugmap.get("RA", np.nan), plugmap.get("DEC", np.nan)
        sky = np.zeros(len(data), dtype=bool)
        for name in ("OBJTYPE", "SOURCETYPE"):
            if name in plugmap:
                sky |= np.char.upper(plugmap[name]) == "SKY"
        source = self._fits.rows_of(plugmap)
        found = np.flatnonzero(source >= 0)
        table = {name: values[source[found]] for name, values in self._fits.columns.items()}
        for name, column in _FILLED:
            if column in table:
                data[name][found] = whole(name, table[column])
        if "OBJTYPE" in table:
            sky[found] |= np.char.upper(table["OBJTYPE"]) == "SKY"
        nothing = [""] * len(data)
        if "SPECTROGRAPHID" in plugmap:
            data["spectrograph"] = [spectrograph_of(each) for each in plugmap["SPECTROGRAPHID"].tolist()]
        kinds = (list(plugmap.get(name, nothing)) for name in ("SOURCETYPE", "OBJTYPE"))
        data["target_class"] = [target_class(*each) for each in zip(*kinds, strict=True)]
        data["target_id"] = self._target_ids(data, plugmap)
        data["healpix_29"] = healpix_29(data["ra"], data["dec"])
        data["status"] = sky

    def _target_ids(
        self, data: NDArray[np.void], plugmap: dict[str, NDArray[Any]]
    ) -> NDArray[np.int64] | list[int]:
        """SPECOBJID of fibres, which follows from their names; CATALOGID of targets without one fibre."""
        if "FIBERID" not in plugmap:
            return _identifiers(plugmap)
        run2d = self._names[0]
        return [
            identifier(spec_obj_id(int(row["plate"]), int(row["mjd"]), int(row["fiber"]), run2d))
            for row in data
        ]


def _identifiers(plugmap: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """What names each spectrum within its plate or field: FIBERID, else CATALOGID; -1 where nothing does."""
    names = ("FIBERID",) if "FIBERID" in plugmap else ("ICATALOGID", "CATALOGID")
    columns = [plugmap[name].tolist() for name in names if name in plugmap]
    count = len(next(iter(plugmap.values())))
    found = [max(map(identifier, values)) for values in zip(*columns, strict=True)] or [-1] * count
    return np.array(found, dtype=np.int64)


_FILLED = (
    ("ra", "PLUG_RA"),
    ("dec", "PLUG_DEC"),
    ("redshift", "Z"),
    ("redshift_err", "Z_ERR"),
    ("zwarn", "ZWARNING"),
    ("delta_chi2", "RCHI2DIFF"),
    ("spectype", "CLASS"),
    ("subtype", "SUBCLASS"),
)


def _place(
    stored: Sequence[NDArray[Any]],
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    masked: MaskedPixels,
) -> NDArray[np.bool_]:
    """Put ``stored`` flux, ivar and AND mask, where they are good, into ``flux`` and ``ivar``.

    Counts what the mask drops in ``masked``. Returns which spectra have an unmasked pixel.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, hence not good
        new_flux, new_ivar = stored[0].astype(np.float32), stored[1].astype(np.float32)
    good = new_ivar > 0
    good &= new_ivar < np.inf
    fatal = stored[2] & np.array(FATAL_MASK, dtype=stored[2].dtype)
    clear = is_zero(fatal)
    good &= clear
    masked.add(fatal, clear)
    unmasked = np.asarray(good.any(axis=1))
    good &= np.isfinite(new_flux)
    keep(new_flux, good)
    keep(new_ivar, good)
    flux[:], ivar[:] = new_flux, new_ivar
    return unmasked


def _is_field(file: FitsFile) -> bool:
    """Whether SDSS-V's robots took the spectra: fields have a number, and no plate."""
    return bool(file.primary.text("FIELDID")) and not file.primary.text("PLATEID")


def _find(file: FitsFile, name: str, number: int) -> HeaderDataUnit | None:
    """The HDU of a name, else the nameless one at its place."""
    if name in file:
        return file.unit(name)
    unit = file.units[number] if len(file.units) > number else None
    return unit if unit is not None and not unit.name else None


def _unit(file: FitsFile, name: str, number: int) -> HeaderDataUnit:
    unit = _find(file, name, number)
    return file.unit(name) if unit is None else unit
