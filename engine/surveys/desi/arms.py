"""The arms of DESI's spectrographs, and joining them on the common grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.spectra.masked_pixels import MaskedPixels
from engine.spectra.pixels import is_zero, keep, new_pair
from engine.surveys.desi.grid import DESI_GRID

MASKING = {
    0: "SOMEBADPIX",
    1: "ALLBADPIX",
    2: "COSMIC",
    3: "LOWFLAT",
    4: "BADFIBERFLAT",
    5: "BRIGHTSKY",
    6: "BADSKY",
    7: "BAD2DFIT",
    8: "NODATA",
    9: "BADFIBER",
    10: "BADCOLUMN",
}
"""Names of the bits of a pixel's mask (specmask of desispec's maskbits.py). Every bit drops a pixel, also one
without a name."""

_LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm's place on the common grid.

    ``first`` pixel and ``size`` of the arm; ``letters`` as the store names it; ``alone`` per letter are
    the pixels (of the arm) that no other arm covers; ``wavelength_datasum`` is the DATASUM of its
    wavelengths in every public production, which spares a look at them.
    """

    name: str
    first: int
    size: int
    alone: tuple[tuple[str, slice], ...]
    wavelength_datasum: str = ""


ARMS = (
    Arm("B", 0, 2751, (("b", slice(None)),), "979185614"),
    Arm("R", 2700, 2326, (("r", slice(None)),), "456732359"),
    Arm("Z", 4900, 2881, (("z", slice(None)),), "3106662670"),
)
JOINED_ARMS = Arm("BRZ", 0, 7781, (("b", slice(0, 2700)), ("r", slice(2751, 4900)), ("z", slice(5026, None))))
"""The one band of files written after the arms were coadded."""


@dataclass(frozen=True, slots=True)
class ArmPixels:
    """Spectra of one arm as stored: flux, ivar and mask (or None), each (n, arm.size)."""

    arm: Arm
    flux: NDArray[Any]
    ivar: NDArray[Any]
    mask: NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class JoinedArms:
    """n spectra on the DESI grid.

    Attributes
    ----------
    flux, ivar : (n, 7781) float32; both 0 where a pixel is not good.
    holds : (n, 3), whether the b, r and z arm have a good pixel.
    unmasked : (n,), whether any pixel has mask 0 and a positive, finite ivar, whatever its flux.
    masked : what the masks of the arms drop; pixels of two arms count twice.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    holds: NDArray[np.bool_]
    unmasked: NDArray[np.bool_]
    masked: MaskedPixels

    @classmethod
    def empty(cls, count: int) -> JoinedArms:
        """``count`` spectra without a good pixel."""
        flux, ivar = new_pair(count, DESI_GRID.size)
        holds, unmasked = np.zeros((count, 3), dtype=bool), np.zeros(count, dtype=bool)
        return cls(flux, ivar, holds, unmasked, MaskedPixels.empty(count))

    def rows(self, chosen: slice) -> JoinedArms:
        """The spectra ``chosen``, as views."""
        masked = self.masked.rows(chosen)
        return JoinedArms(
            self.flux[chosen], self.ivar[chosen], self.holds[chosen], self.unmasked[chosen], masked
        )

    def labels(self) -> NDArray[np.str_]:
        """Letters of the arms that hold data, e.g. ``"brz"``, per spectrum."""
        codes = self.holds @ np.array([1, 2, 4])
        labels: NDArray[np.str_] = np.array(["", "b", "r", "br", "z", "bz", "rz", "brz"])[codes]
        return labels


def join_arms(pixels: Iterable[ArmPixels], joined: JoinedArms) -> None:
    """Fill ``joined`` with spectra whose arms are given from blue to red.

    A pixel is good if its mask is 0, its flux and ivar are finite and its ivar is positive; all others
    add nothing. Where one arm alone covers a pixel its values are copied. Where two arms overlap, flux
    is the sum of ivar * flux over the sum of ivar, accumulated in float64, and ivar is that sum, as in
    ``coadd_cameras`` of desispec (https://github.com/desihub/desispec).
    """
    flux, ivar = joined.flux, joined.ivar
    done = 0  # pixels of the grid filled so far, from the left
    for one in pixels:
        arm, end = one.arm, one.arm.first + one.arm.size
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, hence not good
            arm_flux, arm_ivar = one.flux.astype(np.float32), one.ivar.astype(np.float32)
        good = arm_ivar > 0
        good &= arm_ivar < np.inf
        if one.mask is not None:
            clear = is_zero(one.mask)
            good &= clear
            joined.masked.add(one.mask, clear)
        np.logical_or(joined.unmasked, good.any(axis=1), out=joined.unmasked)
        good &= np.isfinite(arm_flux)
        keep(arm_flux, good)
        keep(arm_ivar, good)
        for letter, alone in arm.alone:
            joined.holds[:, "brz".index(letter)] = good[:, alone].any(axis=1)
        overlap = max(0, done - arm.first)
        flux[:, arm.first + overlap : end] = arm_flux[:, overlap:]
        ivar[:, arm.first + overlap : end] = arm_ivar[:, overlap:]
        if overlap:
            shared = slice(arm.first, done)
            left, right = ivar[:, shared].astype(np.float64), arm_ivar[:, :overlap].astype(np.float64)
            total = left + right
            weighted = left * flux[:, shared] + right * arm_flux[:, :overlap]
            flux[:, shared] = np.divide(weighted, total, out=np.zeros_like(total), where=total > 0)
            ivar[:, shared] = np.minimum(total, _LARGEST)
        done = end
