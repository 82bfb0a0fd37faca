"""Rows: the columns of what a store knows of each spectrum besides its flux, named once for everyone.

Readers fill a :class:`Rows`, the store writes one array per column, the query filters on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.row_status import RowStatus


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the store's ``spectra`` group.

    ``dtype`` is a NumPy type code, or ``O`` for texts of any length; ``missing`` is the value that stands for
    "not known".
    """

    name: str
    dtype: str
    missing: Any
    unit: str
    description: str


COLUMNS: tuple[Column, ...] = (
    Column("specprod", "U40", "", "", "production: DESI specprod, SDSS run2d"),
    Column(
        "survey",
        "U24",
        "",
        "",
        "DESI survey (main, sv3, ...); sdss, boss, eboss or what the file says",
    ),
    Column("program", "U24", "", "", "DESI program (dark, bright, ...); empty for SDSS"),
    Column("target_id", "i8", -1, "", "DESI TARGETID; SDSS SPECOBJID, its 64 bits; SDSS-V CATALOGID"),
    Column("plate", "i4", -1, "", "SDSS plate or field"),
    Column("mjd", "i4", -1, "d", "SDSS modified Julian date of the coadd"),
    Column(
        "fiber",
        "i4",
        -1,
        "",
        "SDSS FIBERID; DESI FIBER that took most of its exposures, of equals the lowest",
    ),
    Column("petal", "i4", -1, "", "DESI PETAL_LOC of that fiber"),
    Column("spectrograph", "i2", -1, "", "SDSS SPECTROGRAPHID"),
    Column("tiles", "O", "", "", "DESI TILEIDs of its exposures, ascending, a space between"),
    Column("night_first", "i4", -1, "", "DESI NIGHT of its first exposure, YYYYMMDD"),
    Column("night_last", "i4", -1, "", "DESI NIGHT of its last exposure, YYYYMMDD"),
    Column(
        "exposure_count", "i4", -1, "", "DESI exposures in the coadd (COADD_NUMEXP, else those in the list)"
    ),
    Column("exposures", "O", "", "", "DESI exposures as TILEID/NIGHT/EXPID/FIBER/PETAL_LOC, a space between"),
    Column("exposure_remarks", "u1", 0, "", "what was missing or odd in the table of exposures, bits"),
    Column("target_class", "O", "", "", "targeted as: classes of DESI_TARGET; SDSS SOURCETYPE, else OBJTYPE"),
    Column("ra", "f8", np.nan, "deg", "right ascension, ICRS"),
    Column("dec", "f8", np.nan, "deg", "declination, ICRS"),
    Column("healpix_29", "i8", -1, "", "healpix pixel of order 29, nested (HATS _healpix_29)"),
    Column("redshift", "f8", np.nan, "", "redshift of the survey's pipeline"),
    Column("redshift_err", "f4", np.nan, "", "its uncertainty"),
    Column("zwarn", "i8", 0, "", "redshift warning bits of the survey's pipeline, 0 is good"),
    Column("delta_chi2", "f4", np.nan, "", "chi2 to the next best fit (DESI); SDSS: RCHI2DIFF"),
    Column("spectype", "U16", "", "", "spectral class: GALAXY, QSO, STAR"),
    Column("subtype", "U40", "", "", "spectral subclass"),
    Column("own_redshift", "?", False, "", "true if the redshift is that of the run's own table"),
    Column("own_class", "?", False, "", "true if the class is one that the run's options gave"),
    Column("fiberstatus", "i4", 0, "", "DESI COADD_FIBERSTATUS bits"),
    Column("arms", "U4", "", "", "arms that hold data: b, r, z (DESI); b, r (SDSS)"),
    Column("snr", "f4", np.nan, "", "median of flux * sqrt(ivar) over good pixels"),
    Column("good_fraction", "f4", 0.0, "", "share of the grid's pixels that are good"),
    Column(
        "masked_pixels",
        "i4",
        -1,
        "",
        "pixels of the file that its mask drops, with ivar or without; -1: no mask",
    ),
    Column("masked_by", "O", "", "", "bits of the mask that drop them, as NAME=pixels, most first"),
    Column("source_row", "i4", -1, "", "row in the source file"),
    Column("status", "u1", int(RowStatus.PADDING), "", "RowStatus code"),
    Column("key", "U160", "", "", "spectrum key: names one spectrum for ever"),
)

ROW_DTYPE = np.dtype([(column.name, column.dtype) for column in COLUMNS])


def whole(name: str, values: ArrayLike) -> NDArray[Any]:
    """``values`` in the type of a column.

    Raises
    ------
    ValueError : the column would cut a text, or has no such integer.
    """
    array, dtype = np.asarray(values), ROW_DTYPE[name]
    if dtype.kind == "O":
        return array.astype(object)
    if array.dtype.kind == "U" and array.dtype.itemsize > dtype.itemsize:
        longest = max(array.ravel().tolist(), key=len, default="")
        if len(longest) > dtype.itemsize // 4:
            raise ValueError(f"{name} {longest!r} is longer than {dtype.itemsize // 4} characters")
    converted = array.astype(dtype)
    if array.dtype.kind in "iu" and dtype.kind in "iu" and (converted != array).any():
        raise ValueError(f"{name} {array[converted != array][0]} does not fit {8 * dtype.itemsize} bits")
    return converted


@dataclass(frozen=True)
class Rows:
    """Columns of n spectra as one structured array ``data`` of type ``ROW_DTYPE``, shape (n,)."""

    data: NDArray[np.void]

    def __post_init__(self) -> None:
        if self.data.dtype != ROW_DTYPE:
            raise TypeError(f"Rows need dtype {ROW_DTYPE}, got {self.data.dtype}")

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.data[name]

    def take(self, index: NDArray[Any] | slice) -> Rows:
        """The rows at ``index`` (integers, booleans or a slice)."""
        return Rows(self.data[index])

    def keys(self) -> list[str]:
        """The spectrum key of every row: what names one spectrum for ever. Empty for padding."""
        keys: list[str] = self.data["key"].tolist()
        return keys

    @classmethod
    def empty(cls, count: int) -> Rows:
        """``count`` rows in which every column holds its missing value."""
        data = np.zeros(count, dtype=ROW_DTYPE)
        for column in COLUMNS:
            data[column.name] = column.missing
        return cls(data)

    @classmethod
    def concatenate(cls, parts: list[Rows]) -> Rows:
        """All rows of ``parts`` in order."""
        return cls(np.concatenate([part.data for part in parts])) if parts else cls.empty(0)
