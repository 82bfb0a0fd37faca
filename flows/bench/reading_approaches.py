"""Approaches to reading: coadded spectra from a DESI coadd, and spectra from an SDSS plate.

Each does something else besides decoding, and :attr:`ReadingApproach.what` says what. Other packages are
called as their documentation shows it; :func:`coadd_arms` coadds the arms for those that leave them apart.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from engine.spectra.normalisation import normalise
from engine.spectra.source_file import SourceFile
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.reading import open_spectra, read_spectra
from engine.surveys.sdss.conventions import FATAL_MASK
from flows.bench.approaches import Skipped
from models.model_card import ModelCard

BATCH = 128
"""Spectra that a worker reads at a time."""

_ARMS = {"B": (0, 2751), "R": (2700, 2326), "Z": (4900, 2881)}


@dataclass(frozen=True)
class ReadingApproach:
    """One way to read a file; ``run`` does all of it, opening included."""

    name: str
    what: str
    run: Callable[[], object]


def coadd_approaches(file: SourceFile, card: ModelCard) -> list[ReadingApproach | Skipped]:
    """Ways to read a DESI coadd with its redrock file."""
    path = file.url
    return [
        *_whyspec(file, card),
        _of_package("fitsio", "HDUs whole, arms coadded, masked", lambda it: _fitsio_coadd(it, path)),
        ReadingApproach(
            "astropy", "memory map, HDUs whole, arms coadded, masked", lambda: _astropy_coadd(path)
        ),
        _of_package(
            "desispec",
            "read_spectra without resolution, float32; coadd_cameras, masked",
            lambda _: _desispec(path, lean=True),
        ),
        _of_package(
            "desispec, default",
            "read_spectra with resolution, float64; coadd_cameras, masked",
            lambda _: _desispec(path, lean=False),
        ),
        _of_package(
            "specutils", "SpectrumList.read: all HDUs, arms and masks apart", lambda it: _list(it, path)
        ),
    ]


def plate_approaches(file: SourceFile, card: ModelCard) -> list[ReadingApproach | Skipped]:
    """Ways to read an SDSS plate with its spZbest file."""
    path = file.url
    return [
        *_whyspec(file, card),
        _of_package("fitsio", "three images whole, masked", lambda it: _fitsio_plate(it, path)),
        ReadingApproach("astropy", "memory map, three images whole, masked", lambda: _astropy_plate(path)),
        _of_package(
            "specutils", "SpectrumList.read: flux, ivar and a mask of all rows", lambda it: _plate(it, path)
        ),
    ]


def _whyspec(file: SourceFile, card: ModelCard) -> list[ReadingApproach]:
    def normalised() -> None:
        with open_spectra(file) as spectra:
            for start in range(0, file.spectra, BATCH):
                normalise(spectra.read(start, min(start + BATCH, file.spectra)), card, ())

    def batches() -> None:
        with open_spectra(file) as spectra:
            for start in range(0, file.spectra, BATCH):
                spectra.read(start, min(start + BATCH, file.spectra))

    joined = "one grid, masked, with redshifts, S/N and status"
    return [
        ReadingApproach("whyspec, normalised", f"{joined}, normalised; by {BATCH} spectra", normalised),
        ReadingApproach("whyspec", f"{joined}; by {BATCH} spectra", batches),
        ReadingApproach("whyspec, whole", f"{joined}; all at once", lambda: read_spectra(file)),
    ]


def _of_package(name: str, what: str, run: Callable[[Any], object]) -> ReadingApproach | Skipped:
    package = name.partition(",")[0]
    if importlib.util.find_spec(package) is None:
        return Skipped(name, "not installed", f"pip install {package}, or whyspec[bench]")

    def run_quietly() -> object:
        with _quiet():
            return run(importlib.import_module(package))

    return ReadingApproach(name, what, run_quietly)


@contextmanager
def _quiet() -> Iterator[None]:
    """Others' remarks on their way to the terminal are left out."""
    level = os.environ.get("DESI_LOGLEVEL")
    os.environ["DESI_LOGLEVEL"] = "critical"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if level is None:
            del os.environ["DESI_LOGLEVEL"]
        else:
            os.environ["DESI_LOGLEVEL"] = level


def coadd_arms(
    image: Callable[[str], NDArray[Any]], count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flux and ivar on DESI's grid, (count, 7781), from images named e.g. ``B_FLUX``.

    The mean of the arms weighted by ivar, as ``coadd_cameras`` of desispec has it.
    """
    weighted = np.zeros((count, DESI_GRID.size), dtype=np.float32)
    ivar = np.zeros((count, DESI_GRID.size), dtype=np.float32)
    for arm, (first, size) in _ARMS.items():
        flux, weight = image(f"{arm}_FLUX"), image(f"{arm}_IVAR")
        good = (image(f"{arm}_MASK") == 0) & np.isfinite(flux) & np.isfinite(weight) & (weight > 0)
        weight = np.where(good, weight, 0)
        weighted[:, first : first + size] += np.where(good, flux, 0) * weight
        ivar[:, first : first + size] += weight
    return np.divide(weighted, ivar, out=np.zeros_like(ivar), where=ivar > 0), ivar


def _fitsio_coadd(fitsio: Any, path: str) -> object:
    with fitsio.FITS(path) as file:
        targets = file["FIBERMAP"].read(columns=["TARGETID", "TARGET_RA", "TARGET_DEC", "COADD_FIBERSTATUS"])
        return coadd_arms(lambda name: file[name].read(), len(targets)), targets


def _astropy_coadd(path: str) -> object:
    with fits.open(path, memmap=True) as hdus:
        targets = np.array(hdus["FIBERMAP"].data["TARGETID"])
        return coadd_arms(lambda name: np.asarray(hdus[name].data), len(targets)), targets


def _desispec(path: str, *, lean: bool) -> object:
    reading = importlib.import_module("desispec.io")
    coaddition = importlib.import_module("desispec.coaddition")
    skipped = ["RESOLUTION", "EXP_FIBERMAP", "SCORES"]
    spectra = (
        reading.read_spectra(path, single=True, skip_hdus=skipped) if lean else reading.read_spectra(path)
    )
    return coaddition.coadd_cameras(spectra)


def _list(specutils: Any, path: str) -> object:
    return specutils.SpectrumList.read(path, format="DESI coadd")


def _plate(specutils: Any, path: str) -> object:
    return specutils.SpectrumList.read(path, format="SDSS spPlate")


def _masked(flux: NDArray[Any], ivar: NDArray[Any], mask: NDArray[Any]) -> object:
    good = (ivar > 0) & np.isfinite(flux) & ((mask & FATAL_MASK) == 0)
    return np.where(good, flux, 0).astype(np.float32), np.where(good, ivar, 0).astype(np.float32)


def _fitsio_plate(fitsio: Any, path: str) -> object:
    with fitsio.FITS(path) as file:
        table = file[5].read(columns=["FIBERID", "RA", "DEC"])
        return _masked(*(file[number].read() for number in range(3))), table


def _astropy_plate(path: str) -> object:
    with fits.open(path, memmap=True) as hdus:
        return _masked(*(np.asarray(hdus[number].data) for number in range(3))), hdus[5].data["FIBERID"]
