"""The tree of the plan benchmark: tens of thousands of DESI directories from one real small coadd.

Listing and planning look at names, checksums and headers, never at pixels. So one coadd with its redrock
file is simulated and linked into every directory; the published checksums differ from directory to
directory, as those of different files do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from itertools import islice
from pathlib import Path

from engine.simulation.desi_release import healpix_pixels, write_desi_file
from engine.simulation.fits_file import Column, empty_table, primary_hdu, table_hdu, write_fits
from engine.simulation.settings import SimulationSettings
from engine.simulation.spectrum import simulate_spectrum
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock, WrittenObject
from engine.store.schema import arrays_of
from models.digests import digest_of

SPECTRA_PER_FILE = 4
_PRODUCTION, _SURVEY, _PROGRAMS = "iron", "main", ("dark", "bright")
_TILEPIX = (
    Column("TILEID", "i4"),
    Column("SURVEY", "7A"),
    Column("PROGRAM", "6A"),
    Column("PETAL_LOC", "i2"),
    Column("HEALPIX", "i4"),
)


def write_plan_tree(directory: Path, files: int, absent: int) -> list[Path]:
    """Write a production of ``files`` coadds; its catalogue names ``absent`` pixels more.

    Returns
    -------
    The directories of the coadds.
    """
    settings = SimulationSettings("desi", SPECTRA_PER_FILE, 0.0, resolution=False)
    spectra = [simulate_spectrum(settings, index, None) for index in range(SPECTRA_PER_FILE)]
    every = ((program, pixel) for program in _PROGRAMS for pixel in healpix_pixels(settings.seed))
    pixels = list(islice(every, files + absent))
    template = directory / "template"
    write_desi_file(settings, template, 3, pixels[0][1], spectra)
    coadd, redrock = (next(template.rglob(f"{kind}-*.fits")) for kind in ("coadd", "redrock"))
    healpix = directory / _PRODUCTION / "healpix"
    folders = []
    for program, pixel in pixels[:files]:
        folder = healpix / _SURVEY / program / str(pixel // 100) / str(pixel)
        folder.mkdir(parents=True)
        stem = f"{_SURVEY}-{program}-{pixel}.fits"
        _link(coadd, folder / f"coadd-{stem}")
        _link(redrock, folder / f"redrock-{stem}")
        publish_sums(folder, "1")
        folders.append(folder)
    table = empty_table(_TILEPIX, len(pixels))
    table["SURVEY"] = _SURVEY
    table["PROGRAM"] = [program for program, _ in pixels]
    table["HEALPIX"] = [pixel for _, pixel in pixels]
    write_fits(healpix / "tilepix.fits", [primary_hdu([]), table_hdu("TILEPIX", _TILEPIX, table)])
    return folders


def publish_sums(folder: Path, version: str, kinds: tuple[str, ...] = ("coadd", "redrock")) -> None:
    """Write the file of checksums of a pixel's directory as DESI names it; other sums for each version."""
    program, group, pixel = folder.parts[-3:]
    names = [f"{kind}-{_SURVEY}-{program}-{pixel}.fits" for kind in kinds]
    lines = [f"{hashlib.sha256(f'{name} {version}'.encode()).hexdigest()}  {name}\n" for name in names]
    parts = ("redux", _PRODUCTION, "healpix", _SURVEY, program, group, pixel)
    (folder / f"{'_'.join(parts)}.sha256sum").write_text("".join(lines), encoding="ascii")


def withdraw_sums(folder: Path) -> None:
    """Take the coadd's checksum out of the file of a pixel's directory.

    That of the redshifts stays: it alone tells the linked files of one directory from those of another.
    """
    publish_sums(folder, "1", ("redrock",))


def finished(block: ScoreBlock | AttributionBlock) -> BlockResult:
    """The ledger's entry of a finished block as long as a real one; without its data.

    One in a hundred of a score block's spectra is an outlier.
    """
    outliers = range(block.first_row, block.first_row + block.spectra, 100) if block.kind == "score" else ()
    paths = sorted(spec.object_path(block.index) for spec in arrays_of(block.kind))
    return BlockResult(
        kind=block.kind,
        index=block.index,
        plan=block.plan,
        spectra=block.spectra,
        status_counts=(("scored", block.spectra),),
        outliers=tuple(outliers),
        unreadable=(),
        objects=tuple(WrittenObject(path, 0, digest_of(path.encode())) for path in paths),
    )


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy(source, target)
