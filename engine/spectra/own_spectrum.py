"""Own spectrum: one that a person holds, on pixels of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.spectra.rows import ROW_DTYPE
from models.errors import ErrorKind, InputError

LONGEST_CLASS = ROW_DTYPE["spectype"].itemsize // 4
"""Characters of a spectral class."""


@dataclass(frozen=True, eq=False, repr=False)
class OwnSpectrum:
    """One spectrum of N pixels.

    Attributes
    ----------
    wavelength : (N,) float64, pixel centres in vacuum Angstrom, rising; in the observer's frame.
    flux : (N,) float64, 1e-17 erg / (s cm2 Angstrom). Its scale does not matter: models divide by the median.
    ivar : (N,) float64, inverse variance of ``flux``; 0 for a pixel without evidence, whatever its flux.
    redshift : NaN if unknown.
    spectral_class : GALAXY, QSO or STAR; empty if unknown.
    key : what names the spectrum.
    target_id : TARGETID (SDSS: SPECOBJID); -1 if there is none.
    source : file or store that it is from; empty for arrays.
    notes : what was assumed or done when it was read, in sentences.

    Raises
    ------
    InputError : the arrays do not fit together, wavelengths do not rise, or a number is not finite where it
        counts.
    """

    wavelength: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    redshift: float = math.nan
    spectral_class: str = ""
    key: str = "spectrum"
    target_id: int = -1
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("wavelength", "flux", "ivar"):
            object.__setattr__(self, name, self._numbers(name, getattr(self, name)))
        object.__setattr__(self, "redshift", float(self.redshift))
        if len(self.spectral_class) > LONGEST_CLASS:
            raise self._refused(
                "The spectral class is too long.",
                self.spectral_class,
                f"GALAXY, QSO, STAR, or another word of at most {LONGEST_CLASS} characters",
                "Say the class yourself: --class on the command line, spectral_class in Python.",
            )
        self._check_shapes()
        self._check_wavelength()
        self._check_ivar()
        object.__setattr__(self, "flux", np.where(self.ivar > 0, self.flux, 0.0))

    @property
    def good(self) -> NDArray[np.bool_]:
        """(N,), pixels with evidence."""
        return self.ivar > 0

    @property
    def where(self) -> str:
        """The spectrum in an error: its file and its key."""
        return ", ".join(filter(None, (self.source, self.key)))

    def _numbers(self, name: str, values: ArrayLike) -> NDArray[np.float64]:
        try:
            return np.array(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise self._refused(
                f"The {name} is not an array of numbers.", str(error), "numbers, one for each pixel"
            ) from error

    def _check_shapes(self) -> None:
        shapes = {name: getattr(self, name).shape for name in ("wavelength", "flux", "ivar")}
        if len(set(shapes.values())) > 1 or self.wavelength.ndim != 1 or self.wavelength.size < 2:
            raise self._refused(
                "Wavelength, flux and inverse variance of a spectrum do not have the same pixels.",
                ", ".join(f"{name} {shape}" for name, shape in shapes.items()),
                "three arrays of the same length, at least 2",
            )

    def _check_wavelength(self) -> None:
        wrong = ~(np.isfinite(self.wavelength) & (self.wavelength > 0))
        if wrong.any():
            raise self._refused(
                "Wavelengths are not finite and positive.",
                self._pixels(wrong, self.wavelength),
                "vacuum wavelengths in Angstrom",
                "Leave such pixels out.",
            )
        falling = np.diff(self.wavelength, prepend=0.0) <= 0
        if falling.any():
            at = int(np.flatnonzero(falling)[0])
            before, after = self.wavelength[at - 1], self.wavelength[at]
            what = "repeat" if before == after else "do not rise"
            raise self._refused(
                f"Wavelengths {what}.",
                f"{before:.10g} Angstrom in pixel {at - 1}, {after:.10g} in pixel {at}",
                "each larger than the one before",
                "Sort the pixels by wavelength; coadd arms and exposures that overlap.",
            )

    def _check_ivar(self) -> None:
        wrong = ~(np.isfinite(self.ivar) & (self.ivar >= 0))
        if wrong.any():
            raise self._refused(
                "The inverse variance is not finite, or negative.",
                self._pixels(wrong, self.ivar),
                "0 or more",
                "Set it to 0 in pixels without evidence.",
            )
        wrong = (self.ivar > 0) & ~np.isfinite(self.flux)
        if wrong.any():
            raise self._refused(
                "Flux is not finite in pixels that are said to carry evidence.",
                self._pixels(wrong, self.flux),
                "finite flux wherever the inverse variance is above 0",
                "Set the inverse variance to 0 in these pixels.",
            )

    def _pixels(self, wrong: NDArray[np.bool_], values: NDArray[np.float64]) -> str:
        first = int(np.flatnonzero(wrong)[0])
        return f"{int(wrong.sum()):,} of {wrong.size:,} pixels, the first {values[first]} in pixel {first}"

    def _refused(self, what: str, got: str, allowed: str, remedy: str = "") -> InputError:
        return InputError(
            what,
            where=self.where,
            got=got,
            allowed=allowed,
            remedy=remedy or "Give one number for each pixel.",
            kind=ErrorKind.OWN_SPECTRUM,
        )
