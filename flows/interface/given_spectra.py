"""Given spectra: what people hold in Python, arrays, tables or objects of other packages, as spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine.spectra.own_spectrum import OwnSpectrum
from flows.spectrum.own_columns import OwnRead
from flows.spectrum.specutils_spectra import of_specutils
from models.errors import ErrorKind, InputError


def given_spectra(
    given: Any,
    flux: Any = None,
    ivar: Any = None,
    redshift: Any = None,
    *,
    spectral_class: str = "",
    medium: str = "vacuum",
) -> tuple[OwnSpectrum, ...]:
    """One spectrum or several.

    Parameters
    ----------
    given : wavelengths (N,), with ``flux`` and ``ivar`` of shape (N,) or, for n spectra, (n, N). Or, without
        these two: a spectrum of whyspec or specutils; a table of astropy or pandas, or a mapping, with a
        column for each (see :mod:`flows.spectrum.own_columns`); or a list of such.
    redshift : one for all, or (n,); None for what the spectra themselves say.
    spectral_class : GALAXY, QSO or STAR, of all; empty for what they say.
    medium : ``vacuum`` or ``air``, in which wavelengths are that do not say so.

    Raises
    ------
    InputError : it is none of these, arrays do not fit together, or a number is wrong.
    """
    if flux is not None or ivar is not None:
        return _of_arrays(given, flux, ivar, redshift, OwnRead(medium, np.nan, spectral_class))
    several = list(given) if isinstance(given, list | tuple) else [given]
    redshifts = _redshifts(redshift, len(several))
    reads = [OwnRead(medium, float(each), spectral_class) for each in redshifts]
    return tuple(
        _one(each, how, number) for number, (each, how) in enumerate(zip(several, reads, strict=True))
    )


def _of_arrays(wavelength: Any, flux: Any, ivar: Any, redshift: Any, how: OwnRead) -> tuple[OwnSpectrum, ...]:
    if flux is None or ivar is None:
        raise _not_understood("wavelengths with flux or inverse variance alone")
    if np.ndim(flux) < 2:
        (value,) = _redshifts(redshift, 1)
        return (how.spectrum(wavelength, flux, ivar, redshift=value),)
    if np.shape(flux) != np.shape(ivar) or np.ndim(flux) > 2:
        raise _not_understood(f"flux of shape {np.shape(flux)}, inverse variance of shape {np.shape(ivar)}")
    count = len(flux)
    redshifts = _redshifts(redshift, count)
    each = wavelength if np.ndim(wavelength) == 2 else [wavelength] * count
    return tuple(
        how.spectrum(each[row], flux[row], ivar[row], redshift=redshifts[row], key=f"spectrum {row}")
        for row in range(count)
    )


def _redshifts(redshift: Any, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        values = np.asarray(np.nan if redshift is None else redshift, dtype=np.float64)
        return np.broadcast_to(values, (count,))
    except (TypeError, ValueError) as error:
        raise InputError(
            "Redshifts and spectra do not fit together.",
            got=f"{redshift!r} for {count} spectra",
            allowed="one number, or one for each spectrum",
            remedy="Give as many redshifts as spectra, or one for all.",
            kind=ErrorKind.OWN_SPECTRUM,
        ) from error


def _one(given: Any, how: OwnRead, number: int) -> OwnSpectrum:
    key = f"spectrum {number}" if number else "spectrum"
    if isinstance(given, OwnSpectrum):
        known = given.redshift if np.isnan(how.redshift) else how.redshift
        return replace(
            given, redshift=known, spectral_class=(how.spectral_class or given.spectral_class).upper()
        )
    if hasattr(given, "spectral_axis") and hasattr(given, "flux"):
        return of_specutils(given, how, key=key)
    columns = _columns(given)
    if columns is None:
        raise _not_understood(f"an object of type {type(given).__name__}")
    return how.of_columns(columns, key=key)


def _columns(given: Any) -> Mapping[str, Any] | None:
    """Columns by name of a table of astropy (``colnames``) or pandas, or of a mapping; None for others."""
    names: Sequence[str] | None = getattr(given, "colnames", None)
    if names is None and hasattr(given, "columns") and hasattr(given, "iloc"):
        names = [str(name) for name in given.columns]
    if names is None and isinstance(given, Mapping):
        names = list(given)
    return None if names is None else {str(name): given[name] for name in names}


def _not_understood(got: str) -> InputError:
    return InputError(
        "What was given is no spectrum.",
        got=got,
        allowed="wavelength, flux and ivar; a spectrum of whyspec or specutils; a table of astropy or pandas "
        "with such columns; or a list of spectra",
        remedy="Give model.score(wavelength, flux, ivar, redshift) four arrays.",
        kind=ErrorKind.OWN_SPECTRUM,
    )
