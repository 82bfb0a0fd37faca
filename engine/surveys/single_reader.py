"""A single reader: what decodes files that no run takes, but of which one spectrum can be explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.files.fits_file import FitsFile
from engine.spectra.spectra import Spectra


@dataclass(frozen=True)
class SingleReader:
    """How one such kind of file is recognised and read. All functions may raise QuarantineError.

    Attributes
    ----------
    title : of such files, for people.
    recognises : whether a file is of this kind.
    identifiers : identifiers of its spectra, (n,), in the order in which they are numbered; -1 for none.
    read : the spectrum of a number on its survey's grid, one row, with its key; a redshift that is not known
        is NaN, and the status then says so.
    notes : what should be known of such a spectrum, in sentences.
    """

    title: str
    recognises: Callable[[FitsFile], bool]
    identifiers: Callable[[FitsFile], NDArray[np.int64]]
    read: Callable[[FitsFile, int], Spectra]
    notes: tuple[str, ...] = ()
