"""Own columns: a spectrum from columns of whatever names people and archives give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.spectra.air import vacuum_wavelength
from engine.spectra.own_spectrum import LONGEST_CLASS, OwnSpectrum
from engine.spectra.units import angstrom, flux_and_ivar
from models.errors import ErrorKind, InputError

WAVELENGTH = ("wavelength", "wave", "lam", "lambda", "wl")
LOG_WAVELENGTH = ("loglam", "log_lambda", "log_wavelength")
FLUX = ("flux", "flam", "f_lambda", "coadd_flux")
IVAR = ("ivar", "invvar", "inverse_variance")
ERROR = (
    "error",
    "err",
    "sigma",
    "uncertainty",
    "flux_error",
    "flux_err",
    "fluxerr",
    "e_flux",
    "noise",
    "std",
)
VARIANCE = ("variance", "var")
MASK = ("mask",)
REDSHIFT = ("redshift", "z")
CLASS = ("spectype", "class", "spectral_class")
IDENTIFIER = ("targetid", "target_id", "specobjid", "specid")
"""Names of columns, in any case, that mean the same; the first that is there counts."""

_BITS = "The mask holds bits of its survey and was not used: the inverse variance says which pixels are good."


@dataclass(frozen=True)
class OwnRead:
    """What the user says of spectra that are read.

    Attributes
    ----------
    medium : ``vacuum`` or ``air``, in which the wavelengths are.
    redshift : of the spectrum, instead of what the data say; NaN for that.
    spectral_class : likewise; empty for what the data say.
    """

    medium: str = "vacuum"
    redshift: float = np.nan
    spectral_class: str = ""

    def __post_init__(self) -> None:
        if len(self.spectral_class) > LONGEST_CLASS:
            raise InputError(
                "The spectral class is too long.",
                got=self.spectral_class,
                allowed=f"GALAXY, QSO, STAR, or another word of at most {LONGEST_CLASS} characters",
                remedy="Give one of these.",
                kind=ErrorKind.OWN_SPECTRUM,
            )
        if self.medium not in ("vacuum", "air"):
            raise InputError(
                "Wavelengths are in vacuum or in air.",
                got=self.medium,
                allowed="vacuum, air",
                remedy="Say which of both; DESI and SDSS publish vacuum wavelengths.",
                kind=ErrorKind.OWN_SPECTRUM,
            )

    def spectrum(self, wavelength: Any, flux: Any, ivar: Any, **known: Any) -> OwnSpectrum:
        """One spectrum of (N,) arrays, which may carry astropy units.

        Parameters
        ----------
        known : further fields of the spectrum, as the data have them.

        Raises
        ------
        InputError : it is none, or a unit does not fit.
        """
        plain = angstrom(wavelength)
        found = flux_and_ivar(plain, flux, ivar)
        known["redshift"] = known.get("redshift", np.nan) if np.isnan(self.redshift) else self.redshift
        known["spectral_class"] = (self.spectral_class or str(known.get("spectral_class", ""))).upper()
        # Checked before it is converted: the index of air is that of rising, finite wavelengths.
        spectrum = OwnSpectrum(plain, *found, **known)
        if self.medium == "vacuum":
            return spectrum
        return OwnSpectrum(vacuum_wavelength(spectrum.wavelength), spectrum.flux, spectrum.ivar, **known)

    def of_columns(self, columns: Mapping[str, Any], **known: Any) -> OwnSpectrum:
        """One spectrum of columns by name, one value each for a pixel; others are left alone.

        Of an error the inverse square is taken; 0, negative and infinite ones are of pixels without evidence.

        Raises
        ------
        InputError : a column is missing, or see :meth:`spectrum`.
        """
        named = {name.lower(): column for name, column in columns.items()}
        where = str(known.get("source", ""))
        wavelength = _first(named, WAVELENGTH)
        if wavelength is None and (logarithms := _first(named, LOG_WAVELENGTH)) is not None:
            wavelength = np.power(10.0, np.asarray(logarithms, dtype=np.float64))
        flux = _first(named, FLUX)
        ivar, notes = _inverse_variance(named)
        for column, names in (
            (wavelength, (*WAVELENGTH, *LOG_WAVELENGTH)),
            (flux, FLUX),
            (ivar, (*IVAR, *ERROR, *VARIANCE)),
        ):
            if column is None:
                raise _missing(where, list(columns), names)
        known["notes"] = (*known.get("notes", ()), *notes)
        return self.spectrum(wavelength, flux, ivar, **known)


def _first(columns: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((columns[name] for name in names if name in columns), None)


def _inverse_variance(columns: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """Inverse variance, None where no column tells it, with what was assumed."""
    ivar = _first(columns, IVAR)
    if ivar is None and (error := _first(columns, ERROR)) is not None:
        ivar = _inverse(error, 2)
    if ivar is None and (variance := _first(columns, VARIANCE)) is not None:
        ivar = _inverse(variance, 1)
    mask = _first(columns, MASK)
    if ivar is None or mask is None:
        return ivar, ()
    masked = np.asarray(mask)
    if not np.isin(masked, (0, 1)).all():
        return ivar, (_BITS,)
    return np.where(masked == 0, 1, 0) * ivar, ()


def _inverse(spread: Any, power: int) -> Any:
    """Inverse of a spread to a power, in its inverse unit, 0 where it says that there is no evidence."""
    unit = getattr(spread, "unit", None)
    values = np.ma.filled(np.ma.asarray(getattr(spread, "value", spread)).astype(np.float64), np.nan)
    none = (values <= 0) | np.isinf(values)
    inverse: NDArray[np.float64] = np.where(none, 0.0, np.where(none, 1.0, values) ** -power)
    return inverse if unit is None else inverse * unit**-power


def _missing(where: str, got: list[str], names: tuple[str, ...]) -> InputError:
    return InputError(
        "A spectrum lacks a column.",
        where=where,
        got=", ".join(got[:20]) + (", ..." if len(got) > 20 else ""),
        allowed=f"one of the columns {', '.join(names)}, in any case",
        remedy="Rename the column that holds it.",
        kind=ErrorKind.OWN_SPECTRUM,
    )
