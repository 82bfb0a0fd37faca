"""Specutils spectra: objects of specutils as own spectra, and the files that it reads."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.spectra.own_spectrum import OwnSpectrum
from engine.surveys.directory import name_of
from flows.spectrum.own_columns import OwnRead
from models.errors import ErrorKind, InputError


def of_specutils(given: Any, how: OwnRead, **known: Any) -> OwnSpectrum:
    """Of a specutils spectrum; its redshift counts where it is not 0, which is what it has unasked.

    Raises
    ------
    InputError : it has no uncertainty, or see :meth:`flows.spectrum.own_columns.OwnRead.spectrum`.
    """
    from astropy.nddata import InverseVariance

    if given.uncertainty is None:
        raise InputError(
            "The spectrum has no uncertainty.",
            where=str(known.get("source") or known.get("key", "")),
            got=f"a {type(given).__name__} without uncertainty",
            allowed="an inverse variance, a variance or a standard deviation",
            remedy="Set its uncertainty: without it nothing can be said of what is odd.",
            kind=ErrorKind.OWN_SPECTRUM,
        )
    with np.errstate(divide="ignore"):
        values = np.array(given.uncertainty.represent_as(InverseVariance).array, dtype=np.float64)
    # A standard deviation of 0 stands for no evidence, not for certainty.
    values[np.isinf(values)] = 0.0
    if given.mask is not None:
        values[np.broadcast_to(given.mask, values.shape)] = 0.0
    said = getattr(given, "redshift", None)
    known["redshift"] = np.nan if said is None or said == 0 else float(said)
    return how.spectrum(given.spectral_axis, given.flux, values * given.flux.unit**-2, **known)


def specutils_file(url: str, how: OwnRead) -> tuple[NDArray[np.int64], Callable[[int], OwnSpectrum]] | None:
    """A FITS file of any kind that specutils reads: identifiers (-1) and reading; None without specutils.

    Raises
    ------
    InputError : specutils cannot read it.
    """
    try:
        from specutils import SpectrumList
    except ImportError:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file that the user chose, and looks at
            found = list(SpectrumList.read(url))
    except Exception as error:  # whatever a loader raises, the file is none of its kinds
        raise InputError(
            "Neither a survey's reader nor specutils can read the file.",
            where=url,
            got=f"{type(error).__name__}: {str(error).strip()[:200]}",
            allowed="a file of spectra of DESI or SDSS, or one that specutils reads",
            remedy="Write wavelength, flux and ivar or error as columns of a .csv.",
            kind=ErrorKind.OWN_FILE,
        ) from error

    def read(number: int) -> OwnSpectrum:
        return of_specutils(found[number], how, source=url, key=f"{name_of(url)}#{number}")

    return np.full(len(found), -1, dtype=np.int64), read
