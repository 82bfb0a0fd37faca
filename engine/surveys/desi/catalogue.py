"""The pixels that a DESI production says it has: ``tilepix.fits``, or ``uniqpix-*.fits`` from DR3 on.

A catalogue names pixels without a file on disk in every production, so it says where to look, not what is
there. Both formats are those of https://desidatamodel.readthedocs.io: HDU
TILEPIX with SURVEY, PROGRAM, HEALPIX, one row per tile and petal; and a table with UNIQPIX per survey and
program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

from engine.files.decoding import SENSELESS, decoding
from engine.files.fits_file import FitsFile
from engine.spectra.source_file import RefusedFile
from engine.surveys.directory import kind_of
from models.errors import ErrorKind, QuarantineError

SURVEY_NAMES = ("cmx", "main", "special", "sv1", "sv2", "sv3")
PROGRAM_NAMES = ("backup", "bright", "dark", "other")

_BASE = re.compile(r"^(.*/(?:healpix|spectra))(?:/([a-z0-9]+))?(?:/([a-z0-9]+))?$")
_NAME = re.compile(r"[a-z0-9]+")
_PROBES = 24


@dataclass(frozen=True, slots=True, order=True)
class Pixel:
    """One pixel of a survey and program; ``number`` is its HEALPIX or UNIQPIX."""

    survey: str
    program: str
    number: int

    @property
    def directory(self) -> str:
        """Its directory, relative to ``healpix`` or ``spectra``."""
        return f"{self.survey}/{self.program}/{self.number // 100}/{self.number}"

    @property
    def coadd(self) -> str:
        """Path of its coadd, relative to ``healpix`` or ``spectra``."""
        return f"{self.directory}/coadd-{self.survey}-{self.program}-{self.number}.fits"


@dataclass(frozen=True)
class PixelCatalogue:
    """The pixels that a production names.

    Attributes
    ----------
    base : the production's ``healpix`` or ``spectra`` directory.
    pixels : ascending, only those below the directory that was asked for.
    damaged : catalogues that are there and cannot be read, with the reason.
    """

    base: str
    pixels: tuple[Pixel, ...]
    damaged: tuple[RefusedFile, ...]


def healpix_catalogue(directory: str) -> PixelCatalogue | None:
    """What ``tilepix.fits`` names at or below ``directory``; None where there is no such file.

    Parameters
    ----------
    directory : a production's ``healpix`` directory, or the part of one survey or program.

    Raises
    ------
    RetryError : the disk or network failed.
    """
    match = _BASE.match(directory)
    base = match[1] if match else directory

    def read(url: str) -> set[Pixel]:
        names = ("SURVEY", "PROGRAM", "HEALPIX")
        with FitsFile(url) as file:
            unit = file.unit("TILEPIX")
            file.require_columns(unit, names)
            file.require_integers(unit, ("HEALPIX",))
            table = file.columns(unit, names, 0, unit.rows)
        return {Pixel(*row) for row in zip(*(table[name].tolist() for name in names), strict=True)}

    return _read_all(directory, base, {f"{base}/tilepix.fits": read})


def uniqpix_catalogue(directory: str) -> PixelCatalogue | None:
    """What the ``uniqpix-<survey>-<program>.fits`` name at or below ``directory``; None where none is there.

    Parameters
    ----------
    directory : a production's ``spectra`` directory, or the part of one survey or program.

    Raises
    ------
    RetryError : the disk or network failed.
    """
    match = _BASE.match(directory)
    base, survey, program = (match[1], match[2], match[3]) if match else (directory, None, None)

    def reader(survey: str, program: str) -> Callable[[str], set[Pixel]]:
        def read(url: str) -> set[Pixel]:
            with FitsFile(url) as file:
                unit = next((unit for unit in file.units if "UNIQPIX" in unit.columns), file.units[-1])
                file.require_columns(unit, ("UNIQPIX",))
                file.require_integers(unit, ("UNIQPIX",))
                numbers = file.columns(unit, ("UNIQPIX",), 0, unit.rows)["UNIQPIX"]
            return {Pixel(survey, program, number) for number in numbers.tolist()}

        return read

    pairs = product([survey] if survey else SURVEY_NAMES, [program] if program else PROGRAM_NAMES)
    files = {f"{base}/{one}/{two}/uniqpix-{one}-{two}.fits": reader(one, two) for one, two in pairs}
    return _read_all(directory, base, files)


def _read_all(
    directory: str, base: str, files: Mapping[str, Callable[[str], set[Pixel]]]
) -> PixelCatalogue | None:
    with ThreadPoolExecutor(_PROBES, thread_name_prefix="catalogues") as pool:
        present = [url for url, kind in zip(files, pool.map(kind_of, files), strict=True) if kind == "file"]
    if not present:
        return None
    pixels: set[Pixel] = set()
    damaged: list[RefusedFile] = []
    for url in present:
        try:
            with decoding(url, SENSELESS):
                named = files[url](url)
                _check(url, named)
            pixels |= named
        except QuarantineError as error:
            damaged.append(RefusedFile(url, error.kind, str(error)))
    inside = sorted(pixel for pixel in pixels if f"{base}/{pixel.directory}/".startswith(f"{directory}/"))
    return PixelCatalogue(base, tuple(inside), tuple(damaged))


def _check(url: str, pixels: Iterable[Pixel]) -> None:
    """Refuse names that would lead to other directories than a pixel's."""
    for pixel in pixels:
        if not (_NAME.fullmatch(pixel.survey) and _NAME.fullmatch(pixel.program) and pixel.number >= 0):
            raise QuarantineError(
                "A catalogue names a pixel that cannot be one.",
                where=url,
                got=f"{pixel.survey!r}, {pixel.program!r}, {pixel.number}",
                allowed="names of small letters and digits, pixels from 0",
                remedy="Fetch the file again; without it the directories are listed.",
                kind=ErrorKind.NOT_A_PIXEL,
            )


def decode_uniqpix(uniqpix: int) -> tuple[int, int]:
    """The nside and nested HEALPix pixel of a UNIQPIX = pixel + 4 nside^2, exactly, for any nside.

    desispec takes a floating-point logarithm; pixel < 12 nside^2, so UNIQPIX lies in
    [4 nside^2, 16 nside^2), and its number of bits tells nside.
    """
    nside = 1 << ((uniqpix.bit_length() - 1) // 2 - 1)
    return nside, uniqpix - 4 * nside**2
