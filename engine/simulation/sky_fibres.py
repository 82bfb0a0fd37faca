"""Real sky fibres: residuals of nights, sky subtraction and detectors in spectra without a source.

The files are SDSS ``spec-*.fits`` of fibres that saw sky only. Half of them, by a hash of their names, are
for training, the other half (``proof``) is held out, so that no evaluation meets a residual of the training.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from engine.simulation.rest_frame import Floats
from engine.simulation.settings import SkyShare
from engine.simulation.smooth_curves import running_mean, running_median
from engine.surveys.sdss.conventions import first_pixel
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ErrorKind, InputError

_REMEDY = "Point --sky at a directory of SDSS sky fibres (spec-*.fits of run2d 26 or 103), or leave it out."
_MASKED = 1 << 18 | 1 << 24
"""FULLREJECT and NODATA of SPPIXMASK. BRIGHTSKY is not taken over: it depends on the source."""
_SMOOTH = 101
_BRIGHT = 1.15
"""Sky over its running median from where a pixel counts as touched by a line."""
_LARGEST_PULL = 10.0


@dataclass(frozen=True)
class SkyFibres:
    """n sky fibres on one interval of SDSS's grid.

    Attributes
    ----------
    wavelength : (pixels,) Angstrom.
    sky : (n, pixels) sky that was subtracted, 1e-17 erg / (s cm2 Angstrom).
    variance : (n, pixels) what the files say of their noise, in flux squared.
    masked : (n, pixels) pixels without a value.
    broad : (n, pixels) residual in sigma, smoothed over 101 pixels: the sky's continuum left over.
    fine : (n, pixels) what is left of the residual, in sigma.
    lines : (n, pixels) 0 to 1, how much of a pixel's sky is lines.
    """

    wavelength: Floats
    sky: Floats
    variance: Floats
    masked: NDArray[np.bool_]
    broad: Floats
    fine: Floats
    lines: Floats

    def __len__(self) -> int:
        return len(self.sky)


def in_share(name: str, share: SkyShare) -> bool:
    """Whether the file ``name`` (without directory) belongs to ``share``."""
    odd = hashlib.sha256(name.encode()).digest()[0] % 2 == 1
    return odd == (share == "proof")


def load_sky_fibres(directory: Path, share: SkyShare) -> SkyFibres:
    """The sky fibres of ``share`` in ``directory`` that cover the SDSS-I/II range.

    Raises
    ------
    InputError : fewer than two such files.
    """
    first, stop = (round(float(SDSS_GRID.pixel(edge))) for edge in (3850.0, 9150.0))
    paths = [path for path in sorted(directory.glob("spec-*.fits")) if in_share(path.name, share)]
    read = [found for path in paths if (found := _read(path, first, stop)) is not None]
    if len(read) < 2:
        raise InputError(
            "Too few sky fibres were found.",
            where=str(directory),
            got=f"{len(read)} usable of {len(paths)} files for {share}",
            allowed="two or more spec-*.fits that cover 3850 to 9150 Angstrom",
            remedy=_REMEDY,
            kind=ErrorKind.NO_SKY_FIBRES,
        )
    flux, sky, ivar, masked = (np.stack(part) for part in zip(*read, strict=True))
    masked = masked.astype(bool)
    pulls = np.where(masked, 0.0, np.clip(flux * np.sqrt(ivar), -_LARGEST_PULL, _LARGEST_PULL))
    broad = np.stack([running_mean(row, _SMOOTH) for row in pulls])
    near = np.stack([running_median(row, _SMOOTH) for row in sky])
    lines = np.clip((sky / np.maximum(near, 1e-6) - 1.0) / (_BRIGHT - 1.0), 0.0, 1.0)
    return SkyFibres(
        wavelength=SDSS_GRID.wavelength()[first:stop],
        sky=sky,
        variance=np.stack(
            [_filled(1.0 / np.maximum(i, 1e-12), m) for i, m in zip(ivar, masked, strict=True)]
        ),
        masked=masked,
        broad=broad,
        fine=pulls - broad,
        lines=np.stack([running_mean(row, 3) for row in lines]),
    )


def _read(path: Path, first: int, stop: int) -> tuple[Floats, Floats, Floats, Floats] | None:
    with fits.open(path, memmap=False) as hdus:
        table = hdus[1].data
        columns = {name.lower(): np.asarray(table[name]) for name in table.names}
    start = first_pixel(str(path), columns["loglam"])
    place = slice(first - start, stop - start)
    if place.start < 0 or place.stop > len(columns["loglam"]):
        return None
    flux, sky, ivar = (columns[name][place].astype(np.float64) for name in ("flux", "sky", "ivar"))
    masked = (ivar <= 0) | ((columns["and_mask"][place] & _MASKED) != 0) | ~np.isfinite(flux)
    if np.mean(masked) > 0.2 or not np.all(np.isfinite(sky)):
        return None
    return np.nan_to_num(flux), sky, np.where(masked, 0.0, ivar), masked.astype(np.float64)


def _filled(values: Floats, masked: NDArray[np.bool_]) -> Floats:
    place = np.arange(len(values))
    return np.interp(place, place[~masked], values[~masked])
