"""Positions on the sky as the store indexes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NSIDE = 2**29


def healpix_29(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """Nested healpix pixel of order 29 (the ``_healpix_29`` of HATS) of ICRS degrees; -1 where unknown."""
    pixel = np.full(ra.shape, -1, dtype=np.int64)
    known = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0)
    if known.any():
        # Imported here: astropy takes a third of a second, and commands that read no spectrum need none.
        import astropy.units as u
        from astropy_healpix import lonlat_to_healpix

        pixel[known] = lonlat_to_healpix(ra[known] * u.deg, dec[known] * u.deg, _NSIDE, order="nested")
    return pixel
