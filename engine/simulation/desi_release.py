"""DESI files: coadds and redrock files by healpix, as DR1 and EDR publish them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy_healpix import HEALPix
from numpy.typing import NDArray

from engine.simulation import desi_columns
from engine.simulation.arms import Arm
from engine.simulation.desi_rows import (
    NSIDE,
    Placed,
    exposure_fibermap,
    fibermap,
    measured_redshift,
    place,
    redshifts,
    scores,
)
from engine.simulation.fits_file import Card, empty_table, image_hdu, primary_hdu, table_hdu, write_fits
from engine.simulation.randomness import Stream, generator
from engine.simulation.redrock_fit import DIAGONALS, resolution_weights
from engine.simulation.redrock_templates import header_cards, templates_of
from engine.simulation.settings import SimulationSettings
from engine.simulation.spectrum import RowKind, SimulatedSpectrum
from engine.simulation.truth import TruthRow
from models.atomic_files import atomic_file

SPECPRODS = {"dr1": "iron", "edr": "fuji"}
_SURVEYS = {"dr1": "main", "edr": "sv3"}
_FLUX_UNIT = "10**-17 erg/(s cm2 Angstrom)"
_IVAR_UNIT = "10**+34 (s2 cm4 Angstrom2) / erg2"
_REDROCK = {"dr1": "0.17.0", "edr": "0.15.4"}
_VERSIONS = {
    "dr1": (("python", "3.10.8"), ("numpy", "1.22.4"), ("desiutil", "3.2.6"), ("desispec", "0.56.5")),
    "edr": (("python", "3.9.7"), ("numpy", "1.21.4"), ("desiutil", "3.2.5"), ("desispec", "0.51.8")),
}


def healpix_pixels(seed: int) -> Iterator[int]:
    """Healpix pixels (nside 64, nested) in the order in which files fill them, all in DESI's declinations."""
    grid = HEALPix(nside=NSIDE, order="nested")
    shuffled = generator(seed, Stream.RELEASE).permutation(grid.npix)
    declination = grid.healpix_to_lonlat(shuffled)[1].deg
    yield from shuffled[(declination > -18.0) & (declination < 77.0)].tolist()


def write_desi_file(
    settings: SimulationSettings, out: Path, number: int, pixel: int, spectra: list[SimulatedSpectrum]
) -> list[TruthRow]:
    """Write the coadd and redrock file number ``number`` with ``spectra``; returns their truth."""
    release = settings.release_name
    specprod, survey = SPECPRODS[release], _SURVEYS[release]
    program = "dark" if number % 4 == 3 else "bright"
    stem = f"{survey}-{program}-{pixel}.fits"
    folder = out / "healpix" / survey / program / str(pixel // 100) / str(pixel)
    folder.mkdir(parents=True, exist_ok=True)
    placed = [place(settings.seed, spectrum, pixel) for spectrum in spectra]
    cards = _primary_cards(release, survey, program, pixel, f"spectra-{stem}")
    columns = desi_columns.FIBERMAP_SV3 if release == "edr" else desi_columns.FIBERMAP
    targets = fibermap(placed, settings.seed, release == "edr")
    exposures = table_hdu("EXP_FIBERMAP", desi_columns.EXP_FIBERMAP, exposure_fibermap(placed))
    table = scores(placed)
    coadd = [primary_hdu(cards), table_hdu("FIBERMAP", columns, targets), exposures]
    for index in range(len(spectra[0].instrument.arms)):
        coadd += _arm_hdus(spectra, index, release, settings.resolution)
    coadd.append(table_hdu("SCORES", desi_columns.SCORES, table))
    order = generator(settings.seed, Stream.FILE, number).permutation(len(placed))
    template_snr = empty_table(desi_columns.TSNR2, len(placed))
    for column in desi_columns.TSNR2:
        template_snr[column.name] = table[column.name][order]
    templates = templates_of(settings)
    redrock = [
        primary_hdu([("RRVER", _REDROCK[release], "Redrock version"), *header_cards(templates), *cards]),
        table_hdu("REDSHIFTS", desi_columns.REDSHIFTS, redshifts(placed, order, templates)),
        table_hdu("FIBERMAP", columns, targets[order]),
        exposures,
        table_hdu("TSNR2", desi_columns.TSNR2, template_snr),
    ]
    names = (f"coadd-{stem}", f"redrock-{stem}")
    sums = [write_fits(folder / name, hdus) for name, hdus in zip(names, (coadd, redrock), strict=True)]
    listing = f"redux_{specprod}_healpix_{survey}_{program}_{pixel // 100}_{pixel}.sha256sum"
    text = "".join(f"{digest}  {name}\n" for digest, name in zip(sums, names, strict=True))
    with atomic_file(folder / listing) as partial:
        partial.write_text(text, encoding="ascii")
    relative = (folder / names[0]).relative_to(out).as_posix()
    return [_truth(item, row, relative, specprod, survey, program) for row, item in enumerate(placed)]


def _primary_cards(release: str, survey: str, program: str, pixel: int, parent: str) -> list[Card]:
    versions = (*_VERSIONS[release], ("DESI_SPECTRO_REDUX", "simulated"), ("SPECPROD", SPECPRODS[release]))
    cards: list[Card] = [("SPGRP", "healpix"), ("SPGRPVAL", pixel), ("HPXPIXEL", pixel), ("HPXNSIDE", NSIDE)]
    # EDR's writer turned the logical into text.
    cards += [("HPXNEST", True if release == "dr1" else "True"), ("SURVEY", survey), ("PROGRAM", program)]
    for number, (name, version) in enumerate(versions):
        cards += [(f"DEPNAM{number:02d}", name), (f"DEPVER{number:02d}", version)]
    cards += [("FIBERMIN", 0), ("INFIL000", parent), ("LONGSTRN", "OGIP 1.0")]
    return [*cards, ("SIMULATD", True, "made by whyspec's simulator, not by DESI")]


def _arm_hdus(
    spectra: list[SimulatedSpectrum], index: int, release: str, resolution: bool
) -> list[list[bytes]]:
    arm = spectra[0].instrument.arms[index]
    data = [spectrum.arms[index] for spectrum in spectra]
    prefix, shape = arm.name.upper(), (len(spectra), arm.grid.size)
    masks = np.stack([part.masked for part in data]).astype(np.int64)
    if release == "edr":
        # Unsigned integers are stored with an offset of 2^31.
        masks -= 2**31
    hdus = [
        image_hdu(
            f"{prefix}_WAVELENGTH",
            (arm.grid.size,),
            "f8",
            [arm.wavelength.astype(">f8").tobytes()],
            [("BUNIT", "Angstrom")],
        ),
        image_hdu(f"{prefix}_FLUX", shape, "f4", [_packed([p.flux for p in data])], [("BUNIT", _FLUX_UNIT)]),
        image_hdu(f"{prefix}_IVAR", shape, "f4", [_packed([p.ivar for p in data])], [("BUNIT", _IVAR_UNIT)]),
        image_hdu(
            f"{prefix}_MASK", shape, "u4" if release == "edr" else "i4", [masks.astype(">i4").tobytes()]
        ),
    ]
    if resolution:
        full, empty = _resolution_rows(arm)
        rows = [empty if spectrum.row_kind is RowKind.STUCK else full for spectrum in spectra]
        hdus.append(image_hdu(f"{prefix}_RESOLUTION", (len(spectra), DIAGONALS, arm.grid.size), "f4", rows))
    return hdus


def _packed(rows: list[NDArray[np.float32]]) -> bytes:
    return np.stack(rows).astype(">f4").tobytes()


@lru_cache(maxsize=8)
def _resolution_rows(arm: Arm) -> tuple[bytes, bytes]:
    """The diagonals of the resolution matrix of one spectrum as bytes, and those of a spectrum without data.

    Diagonal d holds offset ``DIAGONALS // 2 - d`` as scipy's dia_matrix has it: column j of the
    matrix is at place j.
    """
    offsets = DIAGONALS // 2 - np.arange(DIAGONALS)
    columns = np.arange(arm.grid.size)
    row = columns - offsets[:, None]
    inside = (row >= 0) & (row < arm.grid.size)
    diagonals = np.where(inside, resolution_weights(arm)[:, None], 0.0).astype(">f4")
    return diagonals.tobytes(), np.zeros_like(diagonals).tobytes()


def _truth(item: Placed, row: int, file: str, specprod: str, survey: str, program: str) -> TruthRow:
    measured = measured_redshift(item)
    return TruthRow.of(
        item.spectrum,
        specprod=specprod,
        survey=survey,
        program=program,
        target_id=item.target_id,
        file=file,
        row=row,
        ra=item.ra,
        dec=item.dec,
        spectype=str(measured["SPECTYPE"]),
    )
