"""Exposures: DESI's ``spectra-*`` files, one row per target and exposure, coadded for one target.

Exposures are averaged with their inverse variances, arm by arm, then arms are joined as those of a coadd.
Left out are exposures whose FIBERSTATUS has any bit but :data:`INFORMATIONAL`, and of an arm those whose
amplifier was bad. What desispec's own coaddition does beside, it does not: reject cosmic rays by comparing
exposures. A coadd whose redshifts are not there is read in the same way: each target has one row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.files.fits_file import FitsFile
from engine.spectra.pixels import good_fraction
from engine.spectra.rows import Rows
from engine.spectra.sky_position import healpix_29
from engine.spectra.spectra import Spectra
from engine.surveys.desi.arms import Arm, ArmPixels, JoinedArms, join_arms
from engine.surveys.desi.coadd import (
    REDSHIFT_TABLES,
    RedshiftTable,
    arms_of,
    check_wavelengths,
    holds_redshifts,
    images_of,
    key_prefix_of,
    names_of,
)
from engine.surveys.desi.coadd_files import redshift_urls
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.directory import directory_of, kind_of, name_of
from engine.surveys.reader import write_names
from engine.surveys.single_reader import SingleReader
from engine.surveys.survey import target_key
from models.row_status import RowStatus
from models.signal_to_noise import median_snr

INFORMATIONAL = 1 << 1 | 1 << 3 | 1 << 13 | 1 << 14
"""STUCKPOSITIONER, RESTRICTED, NEARCHARGETRAP, VARIABLETHRU."""

_FLAGS = ("FIBERSTATUS", "COADD_FIBERSTATUS")
_BAD_AMPLIFIER = {"B": 1 << 22, "R": 1 << 23, "Z": 1 << 24}
_ALL_AMPLIFIERS = sum(_BAD_AMPLIFIER.values())


def holds_exposures(file: FitsFile) -> bool:
    """Whether a file holds single exposures by arm, with their fibermap."""
    columns = _columns(file)
    return ("EXPID" in columns or "FIBERSTATUS" in columns) and "COADD_FIBERSTATUS" not in columns


def is_coadd(file: FitsFile) -> bool:
    """Whether a file is a coadd, with or without redshifts."""
    return "COADD_FIBERSTATUS" in _columns(file)


def _columns(file: FitsFile) -> Collection[str]:
    """Of the fibermap of spectra by arm and target; none of other files."""
    spectra = "FIBERMAP" in file and any(name.endswith("_FLUX") for name in file.names())
    columns = file.unit("FIBERMAP").columns.keys() if spectra else ()
    return columns if "TARGETID" in columns else ()


def identifiers(file: FitsFile) -> NDArray[np.int64]:
    """TARGETIDs, each once, in the order in which they come first."""
    every = _target_ids(file)
    return every[np.sort(np.unique(every, return_index=True)[1])]


def read(file: FitsFile, number: int) -> Spectra:
    """All good exposures of one target as one spectrum, with redrock's redshift if its file lies beside.

    Raises
    ------
    QuarantineError : an arm is not on DESI's grid, or lacks its inverse variance.
    """
    target = int(identifiers(file)[number])
    exposures = np.flatnonzero(_target_ids(file) == target)
    table = file.unit("FIBERMAP")
    file.require_integers(table, ("TARGETID", *_FLAGS))
    columns = file.columns(table, ("TARGET_RA", "TARGET_DEC", "OBJTYPE", *_FLAGS), 0, table.rows)
    stated = next((columns[name] for name in _FLAGS if name in columns), np.zeros(table.rows))
    flags = stated.astype(np.int64)[exposures]
    usable = (flags & ~(INFORMATIONAL | _ALL_AMPLIFIERS)) == 0
    joined = JoinedArms.empty(1)
    coadded = []
    for arm in arms_of(file):
        check_wavelengths(file, arm)
        good = usable & ((flags & _BAD_AMPLIFIER.get(arm.name, 0)) == 0)
        coadded.append(_coadded(file, arm, exposures[good].tolist()))
    join_arms(coadded, joined)

    rows = Rows.empty(1)
    data = rows.data
    names = names_of(file.url, file.primary.header)
    write_names(data, names)
    data["target_id"], data["source_row"] = target, exposures[0]
    for name, column in (("ra", "TARGET_RA"), ("dec", "TARGET_DEC")):
        data[name] = columns[column][exposures[0]] if column in columns else np.nan
    data["healpix_29"] = healpix_29(data["ra"], data["dec"])
    prefix = key_prefix_of(file.url, file.primary.header) or "/".join(names)
    data["key"] = target_key(prefix, target, int(exposures[0]))
    data["snr"], data["good_fraction"] = median_snr(joined.flux, joined.ivar), good_fraction(joined.ivar)
    data["arms"] = joined.labels()
    _fill_redshift(data, file)
    status = RowStatus.SCORED if np.isfinite(data["redshift"][0]) else RowStatus.NO_REDSHIFT
    kind = str(columns["OBJTYPE"][exposures[0]]).upper() if "OBJTYPE" in columns else "TGT"
    if not usable.any():
        status = RowStatus.BAD_FIBRE
    data["status"] = RowStatus.SKY_FIBRE if kind == "SKY" else status
    return Spectra(DESI_GRID, joined.flux, joined.ivar, rows)


def _target_ids(file: FitsFile) -> NDArray[np.int64]:
    unit = file.unit("FIBERMAP")
    return file.columns(unit, ("TARGETID",), 0, unit.rows)["TARGETID"].astype(np.int64)


def _coadded(file: FitsFile, arm: Arm, exposures: Sequence[int]) -> ArmPixels:
    """The mean of these rows of an arm by their inverse variances, one row."""
    units = images_of(file, arm)
    weight, weighted = np.zeros((1, arm.size)), np.zeros((1, arm.size))
    for row in exposures:
        images = dict(zip(units, file.images([*units.values()], row, row + 1), strict=True))
        flux, ivar = images["FLUX"].astype(np.float64), images["IVAR"].astype(np.float64)
        good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
        if "MASK" in images:
            good &= images["MASK"] == 0
        weight += np.where(good, ivar, 0.0)
        weighted += np.where(good, ivar, 0.0) * np.where(good, flux, 0.0)
    mean = np.divide(weighted, weight, out=np.zeros_like(weighted), where=weight > 0)
    return ArmPixels(arm, mean, weight, None)


def _fill_redshift(data: NDArray[np.void], file: FitsFile) -> None:
    """The redshift that the file holds, else that of the file beside ``spectra-X`` or ``coadd-X``."""
    if holds_redshifts(file):
        RedshiftTable.of(file).join(data)
        return
    coadd = f"{directory_of(file.url)}/{name_of(file.url).replace('spectra-', 'coadd-', 1)}"
    found = next((option for option in redshift_urls(coadd) if kind_of(option) == "file"), None)
    if found is None:
        return
    with FitsFile(found, until=lambda unit: unit.name in REDSHIFT_TABLES) as redshifts:
        RedshiftTable.of(redshifts).join(data)


_NOT_CLEANED = (
    "Exposures were coadded by their inverse variances, without a search for cosmic rays: the coadd of the "
    "release is better."
)

EXPOSURES = SingleReader(
    "DESI spectra-*.fits (single exposures, coadded on the way)",
    holds_exposures,
    identifiers,
    read,
    (_NOT_CLEANED,),
)
LONE_COADD = SingleReader("DESI coadd-*.fits without redshifts, with one given", is_coadd, identifiers, read)
