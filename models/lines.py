"""Spectral lines and their names: rest wavelengths in vacuum, in Angstrom.

Wavelengths are those of the NIST Atomic Spectra Database; those that it gives in air are converted after
Morton (2000, ApJS 130, 403). Where an ion has several lines, the name holds the wavelength in vacuum. Blends
have the mean of their lines: [O II] 7327 is 7322.01 and 7332.75, O I 8449 a triplet. The features of
Wolf-Rayet stars are those of Brinchmann, Kunth & Durret (2008, A&A 485, 657): the blue bump is N III 4635 and
4642, C III 4649 and 4653, and He II 4687; the red bump is C IV 5803 and 5814.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True, slots=True)
class Line:
    """A named line.

    Attributes
    ----------
    name : as shown.
    wavelength : in the rest frame, in vacuum, in Angstrom.
    kind : as which it is mostly seen in galaxies.
    broad : roughly the flux of the broad line in a quasar, Lyα = 100, of which the order alone counts; 0 of
        lines that are never thousands of km/s broad: forbidden ones and those of stars.
    """

    name: str
    wavelength: float
    kind: Literal["emission", "absorption"]
    broad: float = 0.0


LINES: tuple[Line, ...] = (
    Line("Lyα", 1215.67, "emission", 100.0),
    Line("N V", 1240.81, "emission", 2.5),
    Line("Si IV", 1399.8, "emission", 8.0),
    Line("C IV", 1549.06, "emission", 25.0),
    Line("He II 1640", 1640.42, "emission", 2.5),
    Line("C III]", 1908.73, "emission", 16.0),
    Line("Fe II 2600", 2600.17, "absorption"),
    Line("Mg II", 2799.12, "emission", 15.0),
    Line("Mg I 2853", 2852.96, "absorption"),
    Line("[Ne V] 3427", 3426.85, "emission"),
    Line("[O II]", 3728.48, "emission"),
    Line("[Fe VII] 3760", 3759.99, "emission"),
    Line("[Ne III] 3870", 3869.86, "emission"),
    Line("He I 3890", 3889.75, "emission", 0.2),
    Line("Ca K", 3934.78, "absorption"),
    Line("Ca H", 3969.59, "absorption"),
    Line("Hδ", 4102.89, "emission", 2.5),
    Line("G band", 4305.61, "absorption"),
    Line("Hγ", 4341.68, "emission", 4.0),
    Line("[O III] 4364", 4364.44, "emission"),
    Line("He I 4473", 4472.73, "emission", 0.2),
    Line("WR N III 4642", 4641.94, "emission"),
    Line("WR C III 4651", 4650.65, "emission"),
    Line("He II 4687", 4687.02, "emission", 0.1),
    Line("Hβ", 4862.68, "emission", 9.0),
    Line("[O III] 4960", 4960.30, "emission"),
    Line("[O III] 5008", 5008.24, "emission"),
    Line("[Fe VII] 5160", 5160.33, "emission"),
    Line("Mg b", 5176.63, "absorption"),
    Line("[N I] 5202", 5201.71, "emission"),
    Line("[Fe XIV] 5304", 5304.34, "emission"),
    Line("[Fe VII] 5722", 5722.30, "emission"),
    Line("[N II] 5756", 5756.24, "emission"),
    Line("WR C IV 5808", 5808.27, "emission"),
    Line("He I 5877", 5877.25, "emission", 0.8),
    Line("Na D", 5894.57, "absorption"),
    Line("[Fe VII] 6089", 6088.66, "emission"),
    Line("[O I] 6302", 6302.05, "emission"),
    Line("[Fe X] 6376", 6376.30, "emission"),
    Line("[N II] 6550", 6549.86, "emission"),
    Line("Hα", 6564.61, "emission", 30.0),
    Line("[N II] 6585", 6585.27, "emission"),
    Line("He I 6680", 6680.00, "emission", 0.1),
    Line("[S II] 6718", 6718.29, "emission"),
    Line("[S II] 6733", 6732.67, "emission"),
    Line("He I 7067", 7067.16, "emission", 0.3),
    Line("[Ar III] 7138", 7137.77, "emission"),
    Line("[O II] 7327", 7327.38, "emission"),
    Line("[Fe XI] 7894", 7894.04, "emission"),
    Line("O I 8449", 8448.68, "emission", 1.0),
    Line("Ca II 8500", 8500.36, "absorption"),
    Line("Ca II 8544", 8544.44, "absorption"),
    Line("Ca II 8665", 8664.52, "absorption"),
    Line("[S III] 9071", 9071.1, "emission"),
    Line("[S III] 9533", 9533.2, "emission"),
)

_AIR = 3.0
"""Angstrom by which the wavelength in a name may be off: that in air, or of one line of a blend."""

BROAD_KMS, BROADEST_FORBIDDEN_KMS, BROADEST_KMS = 1000.0, 3000.0, 20_000.0
"""Widths in km/s: from which a permitted line is called broad; up to which a feature can be of a forbidden
line or of starlight; up to which it can be of a line at all."""

NEAR_KMS = 300.0
"""Motions of gas and errors of a centre, km/s."""

_KMS = 299_792.458
_WINGED = 5.0
"""Least ``broad`` of lines so strong that their wings alone make features: Lyα to Hβ."""

_WAVELENGTHS = np.array([line.wavelength for line in LINES])


def line_of_feature(rest_wavelength: float, width: float) -> Line | None:
    """The line that a feature of a spectrum is of; None if there is none. Both are in Angstrom at rest.

    A feature broader than :data:`BROAD_KMS`, which is about what parts Hα and [N II], is of the line with the
    largest ``broad`` inside of it, or whose wing it may be, if the line is strong: at most its width away or
    half the width of a broad line. Otherwise it is of the nearest line inside of it, or within
    :data:`NEAR_KMS` of its ends.
    """
    if not (np.isfinite(rest_wavelength) and np.isfinite(width)):
        return None
    velocity = _KMS * width / rest_wavelength
    if velocity > BROADEST_KMS:
        return None
    distance = np.abs(_WAVELENGTHS - rest_wavelength)
    if velocity > BROAD_KMS:
        wing = max(width, BROADEST_FORBIDDEN_KMS / _KMS * rest_wavelength)
        profiles = [
            line
            for line, away in zip(LINES, distance, strict=True)
            if line.broad and away <= (wing if line.broad >= _WINGED else 0.5 * width)
        ]
        if profiles:
            return max(profiles, key=lambda line: line.broad)
    if velocity > BROADEST_FORBIDDEN_KMS:
        return None
    return nearest_line(rest_wavelength, 0.5 * width + NEAR_KMS / _KMS * rest_wavelength)


def nearest_line(rest_wavelength: float, tolerance: float) -> Line | None:
    """The line nearest to ``rest_wavelength``; None if none is within ``tolerance``. Both are in Angstrom."""
    distance = np.abs(_WAVELENGTHS - rest_wavelength)
    best = int(distance.argmin())
    return LINES[best] if distance[best] <= tolerance else None


def line_named(name: str) -> Line | None:
    """The line of a name, or None; case, spaces, brackets and Greek letters do not matter.

    ``Halpha``, ``hα``, ``[OIII]5008`` and ``oiii 5008`` are names. So are ``[O III] 5007``, by its wavelength
    in air, and ``OIII``: of several the strongest where they are broad, else the reddest.
    """
    wanted = _plain(name)
    exact = [line for line in LINES if _plain(line.name) == wanted]
    if exact:
        return exact[0]
    ion, number = wanted.rstrip("0123456789"), wanted[len(wanted.rstrip("0123456789")) :]
    lines = [line for line in LINES if _plain(line.name).rstrip("0123456789") == ion]
    if number:
        lines = [line for line in lines if abs(line.wavelength - float(number)) <= _AIR]
    return max(lines, key=lambda line: (line.broad, line.wavelength), default=None)


def _plain(name: str) -> str:
    text = name.lower()
    for greek, latin in (("α", "alpha"), ("β", "beta"), ("γ", "gamma"), ("δ", "delta")):
        text = text.replace(greek, latin)
    return "".join(letter for letter in text if letter.isalnum())
