"""Mask of emission lines: the pixels that some reconstruction scores leave out.

There are two lists of lines, for the two forms of the scores in :mod:`models.reconstruction_scores`. The
published list (github.com/ed-ortizm/anomaly, ``constants.py``) is in air, but the published pipeline compares
it with rest-frame wavelengths in vacuum. So its windows lie 83 km/s too far to the blue, and the red line of
the [O II] doublet is not masked. Our list is in vacuum and has both lines of the doublet.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.lines import LINES

HALF_WIDTH_KMS = 250.0
"""Masked velocity on each side of a line, km/s."""

PUBLISHED_LINES: tuple[float, ...] = (
    *(3726.040, 4101.734, 4340.472, 4861.352, 4958.911, 5006.843),
    *(6548.041, 6562.787, 6583.461, 6716.440, 6730.812),
)
"""Wavelengths in air, Angstrom, as published; used as if they were in vacuum."""

_OII_DOUBLET = (3727.10, 3729.86)  # NIST ASD; :data:`models.lines.LINES` has their mean
_BALMER = frozenset(("Hδ", "Hγ", "Hβ", "Hα"))
_FORBIDDEN = frozenset(
    ("[O III] 4960", "[O III] 5008", "[N II] 6550", "[N II] 6585", "[S II] 6718", "[S II] 6733")
)
VACUUM_LINES: tuple[float, ...] = (
    *_OII_DOUBLET,
    *(line.wavelength for line in LINES if line.name in _BALMER | _FORBIDDEN),
)
"""Wavelengths in vacuum, Angstrom, increasing: the same lines with both of the [O II] doublet."""

_SPEED_OF_LIGHT_KMS = 299_792.458


def line_pixels(redshift: Tensor, wavelength: Tensor, lines: tuple[float, ...]) -> Tensor:
    """Mask of pixels within 250 km/s of one of ``lines``, (n, N) bool.

    Parameters
    ----------
    redshift : (n,), finite.
    wavelength : (N,) observed, in Angstrom.
    lines : rest wavelengths in Angstrom, increasing.
    """
    half = HALF_WIDTH_KMS / _SPEED_OF_LIGHT_KMS
    borders: list[float] = []
    for line in lines:
        low, high = line * (1 - half), line * (1 + half)
        if borders and low <= borders[-1]:
            borders[-1] = high  # windows that overlap are one
        else:
            borders += [low, high]
    # The windows are apart, so a wavelength lies inside one after an odd number of borders.
    edges = torch.tensor(borders, dtype=torch.float64, device=wavelength.device)
    rest = wavelength.double() / (1 + redshift.double())[:, None]
    return (torch.bucketize(rest, edges, out_int32=True) & 1).bool()
