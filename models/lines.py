"""Spectral lines and their names: rest wavelengths in vacuum, in Angstrom (NIST ASD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True, slots=True)
class Line:
    """A named line; ``wavelength`` is in the rest frame, in vacuum, in Angstrom."""

    name: str
    wavelength: float
    kind: Literal["emission", "absorption"]


LINES: tuple[Line, ...] = (
    Line("Lyα", 1215.67, "emission"),
    Line("N V", 1240.81, "emission"),
    Line("Si IV", 1399.8, "emission"),
    Line("C IV", 1549.06, "emission"),
    Line("He II 1640", 1640.42, "emission"),
    Line("C III]", 1908.73, "emission"),
    Line("Fe II 2600", 2600.17, "absorption"),
    Line("Mg II", 2799.12, "emission"),
    Line("Mg I 2853", 2852.96, "absorption"),
    Line("[Ne V] 3427", 3426.85, "emission"),
    Line("[O II]", 3728.48, "emission"),
    Line("[Ne III] 3870", 3869.86, "emission"),
    Line("Ca K", 3934.78, "absorption"),
    Line("Ca H", 3969.59, "absorption"),
    Line("Hδ", 4102.89, "emission"),
    Line("G band", 4305.61, "absorption"),
    Line("Hγ", 4341.68, "emission"),
    Line("[O III] 4364", 4364.44, "emission"),
    Line("He II 4687", 4687.02, "emission"),
    Line("Hβ", 4862.68, "emission"),
    Line("[O III] 4960", 4960.30, "emission"),
    Line("[O III] 5008", 5008.24, "emission"),
    Line("Mg b", 5176.63, "absorption"),
    Line("[N I] 5202", 5201.71, "emission"),
    Line("[N II] 5756", 5756.24, "emission"),
    Line("He I 5877", 5877.25, "emission"),
    Line("Na D", 5894.57, "absorption"),
    Line("[O I] 6302", 6302.05, "emission"),
    Line("[N II] 6550", 6549.86, "emission"),
    Line("Hα", 6564.61, "emission"),
    Line("[N II] 6585", 6585.27, "emission"),
    Line("[S II] 6718", 6718.29, "emission"),
    Line("[S II] 6733", 6732.67, "emission"),
    Line("[Ar III] 7138", 7137.77, "emission"),
    Line("Ca II 8500", 8500.36, "absorption"),
    Line("Ca II 8544", 8544.44, "absorption"),
    Line("Ca II 8665", 8664.52, "absorption"),
    Line("[S III] 9071", 9071.1, "emission"),
    Line("[S III] 9533", 9533.2, "emission"),
)

_WAVELENGTHS = np.array([line.wavelength for line in LINES])


def nearest_line(rest_wavelength: float, tolerance: float) -> Line | None:
    """The line nearest to ``rest_wavelength``; None if none is within ``tolerance``. Both are in Angstrom."""
    distance = np.abs(_WAVELENGTHS - rest_wavelength)
    best = int(distance.argmin())
    return LINES[best] if distance[best] <= tolerance else None


def line_named(name: str) -> Line | None:
    """The line of a name, or None; case, spaces, brackets and Greek letters do not matter.

    ``Halpha``, ``hα``, ``[OIII]5008`` and ``oiii 5008`` are names. So is ``OIII``: the strongest of several.
    """
    wanted = _plain(name)
    exact = [line for line in LINES if _plain(line.name) == wanted]
    if exact:
        return exact[0]
    ion = [line for line in LINES if _plain(line.name).rstrip("0123456789") == wanted]
    return ion[-1] if ion else None


def _plain(name: str) -> str:
    text = name.lower()
    for greek, latin in (("α", "alpha"), ("β", "beta"), ("γ", "gamma"), ("δ", "delta")):
        text = text.replace(greek, latin)
    return "".join(letter for letter in text if letter.isalnum())
