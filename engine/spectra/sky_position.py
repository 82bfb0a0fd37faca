"""Positions on the sky as the store indexes them."""

from __future__ import annotations

from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NSIDE = 2**29


def healpix_29(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """Nested healpix pixel of order 29 (the ``_healpix_29`` of HATS) of ICRS degrees; -1 where unknown."""
    pixel = np.full(ra.shape, -1, dtype=np.int64)
    known = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0)
    if known.any():
        function = _compiled().lonlat_to_healpix_nested
        pixel[known], _, _ = function(np.radians(ra[known]), np.radians(dec[known]), np.intc(_NSIDE))
    return pixel


@cache
def _compiled() -> Any:
    """The compiled half of astropy_healpix, which takes radians.

    The package itself imports coordinates and units of astropy: half a second of CPU in each process.

    Raises
    ------
    ImportError : astropy_healpix is not installed.
    """
    package = find_spec("astropy_healpix")
    places = None if package is None else package.submodule_search_locations
    spec = None if places is None else PathFinder.find_spec("astropy_healpix._core", list(places))
    if spec is None or spec.loader is None:
        raise ImportError("astropy_healpix")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
