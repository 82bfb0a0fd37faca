"""Small trees of releases with real names: empty files where only names matter, real coadds elsewhere."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from astropy.io import fits

from tests.engine.surveys.coadd_files import CoaddContent


class Production:
    """A DESI production whose coadds are links to one file of two spectra."""

    def __init__(self, root: Path, form: str = "healpix", sums: bool = True) -> None:
        self.root, self.base, self.sums = root, root / form, sums
        # The primary header names no survey: survey and program come from the path.
        self._files = [Path(path) for path in CoaddContent(count=2, header={}).write(root.parent / "one")]

    def add(self, survey: str, program: str, pixel: int, version: str = "1") -> Path:
        """A pixel's directory with coadd, redrock and the checksums that are published of both."""
        folder = self.base / survey / program / str(pixel // 100) / str(pixel)
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{survey}-{program}-{pixel}.fits"
        for kind, source in zip(("coadd", "redrock"), self._files, strict=True):
            if not (folder / f"{kind}-{stem}").exists():
                os.link(source, folder / f"{kind}-{stem}")
        if self.sums:
            self.publish(folder, stem, version)
        return folder / f"coadd-{stem}"

    def publish(self, folder: Path, stem: str, version: str) -> None:
        """Checksums that say ``version``: nobody compares them with the bytes when a release is listed."""
        names = [f"{kind}-{stem}" for kind in ("coadd", "redrock", "emline")]
        text = "".join(
            f"{hashlib.sha256(f'{name}{version}'.encode()).hexdigest()}  {name}\n" for name in names
        )
        self.sums_of(folder).write_text(text)

    def sums_of(self, folder: Path) -> Path:
        """The file of checksums of a pixel's directory."""
        parts = "_".join(folder.relative_to(self.root).parts)
        return folder / f"redux_{self.root.name}_{parts}.sha256sum"

    def catalogue(self, pixels: Iterable[tuple[str, str, int]]) -> None:
        """``tilepix.fits`` with these pixels, each of two petals of a tile."""
        rows = [pixel for pixel in pixels for _ in range(2)]
        self.base.mkdir(parents=True, exist_ok=True)
        table = fits.BinTableHDU.from_columns(
            [
                fits.Column("TILEID", "J", array=np.full(len(rows), 1000)),
                fits.Column("SURVEY", "7A", array=np.array([row[0] for row in rows])),
                fits.Column("PROGRAM", "6A", array=np.array([row[1] for row in rows])),
                fits.Column("PETAL_LOC", "I", array=np.arange(len(rows)) % 10),
                fits.Column("HEALPIX", "J", array=np.array([row[2] for row in rows])),
            ],
            name="TILEPIX",
        )
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(self.base / "tilepix.fits", overwrite=True)

    def uniqpix(self, survey: str, program: str, pixels: list[int]) -> None:
        """``uniqpix-<survey>-<program>.fits`` with these pixels."""
        folder = self.base / survey / program
        folder.mkdir(parents=True, exist_ok=True)
        columns = [
            fits.Column(name, "K", array=np.array(pixels)) for name in ("UNIQPIX", "NTARGETS", "NSPECTRA")
        ]
        table = fits.BinTableHDU.from_columns(columns, name="UNIQPIX")
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(folder / f"uniqpix-{survey}-{program}.fits")


def touch(root: Path, *paths: str) -> None:
    """Empty files at these paths."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
