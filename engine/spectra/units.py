"""Units: wavelengths and fluxes that carry astropy units, as the plain numbers of whyspec.

Numbers without a unit are taken as they are: Angstrom, and 1e-17 erg / (s cm2 Angstrom).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ErrorKind, InputError

FLUX_UNIT = "1e-17 erg / (s cm2 Angstrom)"
"""Unit of fluxes."""


def angstrom(values: Any) -> NDArray[np.float64]:
    """Wavelengths in Angstrom.

    Raises
    ------
    InputError : their unit is none of length.
    """
    unit = getattr(values, "unit", None)
    if unit is None:
        return _plain(values)
    from astropy import units

    factor = _factor("wavelength", unit, "Angstrom", "a unit of length: Angstrom, nm, micron")
    return factor * _plain(units.Quantity(values, unit).value)


def flux_and_ivar(
    wavelength: NDArray[np.float64], flux: Any, ivar: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fluxes and inverse variances, (..., N) both, in 1e-17 erg / (s cm2 Angstrom) and its inverse square.

    Parameters
    ----------
    wavelength : (N,) Angstrom; by it a flux per frequency, in Jy for one, becomes one per wavelength.

    Raises
    ------
    InputError : only one of them has a unit, or the two do not fit, or it is none of flux density.
    """
    of_flux, of_ivar = getattr(flux, "unit", None), getattr(ivar, "unit", None)
    if of_flux is None and of_ivar is None:
        return _plain(flux), _plain(ivar)
    if of_flux is None or of_ivar is None:
        got = f"flux in {of_flux or 'plain numbers'}, inverse variance in {of_ivar or 'plain numbers'}"
        raise _refused("Of flux and inverse variance one has a unit.", got, "units for both, or for none")
    from astropy import units

    plain = _plain(units.Quantity(ivar, of_ivar).value)
    plain = plain * _factor("inverse variance", of_ivar, of_flux**-2, f"the inverse square of {of_flux}")
    target = units.Unit(FLUX_UNIT)
    try:
        equivalent = units.spectral_density(wavelength * units.Angstrom)
        factor = (np.ones_like(wavelength) * of_flux).to_value(target, equivalent)
    except units.UnitConversionError as error:
        raise _refused(
            "The flux's unit is none of flux density.", str(of_flux), f"{FLUX_UNIT}, Jy, or plain numbers"
        ) from error
    return _plain(units.Quantity(flux, of_flux).value) * factor, plain / np.square(factor)


def _factor(name: str, unit: Any, target: Any, allowed: str) -> float:
    from astropy import units

    try:
        return float((1.0 * units.Unit(unit)).to_value(target))
    except units.UnitConversionError as error:
        raise _refused(f"The unit of the {name} does not fit.", str(unit), allowed) from error


def _plain(values: Any) -> NDArray[np.float64]:
    try:
        # Masked values of astropy and pandas become NaN, which are refused where they matter.
        filled = np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)
        return np.asarray(filled, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _refused("Values of a spectrum are no numbers.", str(error), "arrays of numbers") from error


def _refused(what: str, got: str, allowed: str) -> InputError:
    return InputError(
        what,
        got=got,
        allowed=allowed,
        remedy=f"Give units of astropy that fit, or plain numbers in Angstrom and {FLUX_UNIT}.",
        kind=ErrorKind.OWN_SPECTRUM,
    )
