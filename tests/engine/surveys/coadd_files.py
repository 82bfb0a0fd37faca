"""Small DESI coadds written with astropy, and the slow independent reading of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from engine.spectra.rows import COLUMNS, Rows

PIXELS = {"B": (0, 2751), "R": (2700, 2326), "Z": (4900, 2881)}
FIRST_TARGETID = 39627866878511337


def contents(rows: Rows) -> list[object]:
    """All columns of rows, bit for bit."""
    columns = (rows[column.name] for column in COLUMNS)
    return [values.tolist() if values.dtype.kind == "O" else values.tobytes() for values in columns]


@dataclass
class CoaddContent:
    """What goes into a coadd and its redrock file; change it, then :meth:`write`."""

    count: int = 6
    seed: int = 1
    header: dict[str, object] = field(default_factory=lambda: {"SURVEY": "main", "PROGRAM": "dark"})
    arms: tuple[str, ...] = ("B", "R", "Z")

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        n = self.count
        self.targetid = FIRST_TARGETID + random.permutation(4 * n)[:n].astype(np.int64)
        self.objtype = ["TGT"] * n
        self.fiberstatus = np.zeros(n, dtype=np.int32)
        self.ra, self.dec = random.uniform(0, 360, n), random.uniform(-30, 80, n)
        self.flux: dict[str, NDArray[np.float32]] = {}
        self.ivar: dict[str, NDArray[np.float32]] = {}
        self.mask: dict[str, NDArray[np.int32]] = {}
        for arm, (_, size) in PIXELS.items():
            self.flux[arm] = random.normal(2, 3, (n, size)).astype(np.float32)
            self.ivar[arm] = random.gamma(2, 1, (n, size)).astype(np.float32)
            self.mask[arm] = np.where(random.uniform(size=(n, size)) < 0.02, 256, 0).astype(np.int32)
        order = random.permutation(n)
        self.redrock_targetid = self.targetid[order]
        self.redshift = random.uniform(0, 2, n)
        self.zwarn = np.where(random.uniform(size=n) < 0.3, 4, 0).astype(np.int64)
        self.redshift_of = dict(zip(self.redrock_targetid.tolist(), self.redshift.tolist(), strict=True))

    def wavelength(self, arm: str) -> NDArray[np.float64]:
        first, size = PIXELS[arm]
        return 3600.0 + 0.8 * (first + np.arange(size))

    def hdus(self, unsigned_mask: bool = False) -> fits.HDUList:
        primary = fits.PrimaryHDU()
        for key, value in self.header.items():
            primary.header[key] = value
        fibermap = fits.BinTableHDU.from_columns(
            [
                fits.Column("TARGETID", "K", array=self.targetid),
                fits.Column(
                    "COADD_FIBERSTATUS",
                    "K" if self.fiberstatus.itemsize == 8 else "J",
                    array=self.fiberstatus,
                ),
                fits.Column("TARGET_RA", "D", array=self.ra),
                fits.Column("TARGET_DEC", "D", array=self.dec),
                fits.Column("FLUX_GRZ", "3E", array=np.ones((self.count, 3), dtype=np.float32)),
                fits.Column("OBJTYPE", "3A", array=np.array(self.objtype)),
            ],
            nrows=self.count,
            name="FIBERMAP",
        )
        hdus = [primary, fibermap]
        for arm in self.arms:
            mask = self.mask[arm].astype(np.uint32) if unsigned_mask else self.mask[arm]
            hdus += [
                fits.ImageHDU(self.wavelength(arm), name=f"{arm}_WAVELENGTH"),
                fits.ImageHDU(self.flux[arm], name=f"{arm}_FLUX"),
                fits.ImageHDU(self.ivar[arm], name=f"{arm}_IVAR"),
                fits.ImageHDU(mask, name=f"{arm}_MASK"),
                fits.ImageHDU(np.ones((self.count, 11, 3), dtype=np.float32), name=f"{arm}_RESOLUTION"),
            ]
        return fits.HDUList(hdus)

    def redrock(self) -> fits.HDUList:
        n = len(self.redrock_targetid)
        table = fits.BinTableHDU.from_columns(
            [
                fits.Column("TARGETID", "K", array=self.redrock_targetid, null=999999),
                fits.Column("Z", "D", array=self.redshift),
                fits.Column("ZERR", "D", array=np.full(n, 1e-4)),
                fits.Column("ZWARN", "K", array=self.zwarn, null=999999),
                fits.Column("COEFF", "10D", array=np.zeros((n, 10))),
                fits.Column("SPECTYPE", "6A", array=np.array(["GALAXY"] * n)),
                fits.Column("SUBTYPE", "20A", array=np.array([""] * n)),
                fits.Column("DELTACHI2", "D", array=np.arange(n, dtype=float)),
            ],
            name="REDSHIFTS",
        )
        return fits.HDUList([fits.PrimaryHDU(), table])

    def alone(self) -> fits.HDUList:
        """A coadd that holds its redshifts itself."""
        return fits.HDUList([*self.hdus(), self.redrock()[1]])

    def write(
        self,
        directory: Path,
        name: str = "main-dark-1.fits",
        unsigned_mask: bool = False,
        redrock: bool = True,
    ) -> tuple[str, str]:
        """Write ``coadd-<name>`` and ``redrock-<name>``; their paths (empty for no redrock)."""
        directory.mkdir(parents=True, exist_ok=True)
        coadd, redshifts = directory / f"coadd-{name}", directory / f"redrock-{name}"
        self.hdus(unsigned_mask).writeto(coadd, checksum=True, overwrite=True)
        if redrock:
            self.redrock().writeto(redshifts, checksum=True, overwrite=True)
        return str(coadd), str(redshifts) if redrock else ""


def with_redshifts(coadd: str | Path, directory: Path, redshift: float = 0.1) -> str:
    """A copy of a coadd with a table of redshifts in it."""
    with fits.open(coadd) as hdus:
        target_id = np.array(hdus["FIBERMAP"].data["TARGETID"])
        columns = [
            fits.Column("TARGETID", "K", array=target_id),
            fits.Column("Z", "D", array=np.full(len(target_id), redshift)),
        ]
        table = fits.BinTableHDU.from_columns(columns, name="REDSHIFTS")
        fits.HDUList([*hdus, table]).writeto(directory / Path(coadd).name)
    return str(directory / Path(coadd).name)


def slow_coadd(path: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """flux and ivar on DESI's grid by a loop over arms and pixels in float64, read by astropy alone."""
    with fits.open(path) as hdus:
        count = len(hdus["FIBERMAP"].data)
        weighted, ivar = np.zeros((count, 7781)), np.zeros((count, 7781))
        for arm in PIXELS:
            if f"{arm}_FLUX" not in hdus:
                continue
            wavelength = np.asarray(hdus[f"{arm}_WAVELENGTH"].data)
            flux = np.asarray(hdus[f"{arm}_FLUX"].data, dtype=np.float64)
            weight = np.asarray(hdus[f"{arm}_IVAR"].data, dtype=np.float64)
            mask = np.asarray(hdus[f"{arm}_MASK"].data)
            for pixel, angstrom in enumerate(wavelength):
                place = round((angstrom - 3600.0) / 0.8)
                for row in range(count):
                    w, f = weight[row, pixel], flux[row, pixel]
                    if mask[row, pixel] == 0 and np.isfinite(w) and w > 0 and np.isfinite(f):
                        weighted[row, place] += w * f
                        ivar[row, place] += w
    return np.divide(weighted, ivar, out=np.zeros_like(ivar), where=ivar > 0), ivar
