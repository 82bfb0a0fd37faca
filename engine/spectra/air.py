"""Air: wavelengths measured in it, as vacuum has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 4
"""The index is known at the vacuum wavelength; each round gains four digits."""


def vacuum_wavelength(air: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vacuum wavelengths in Angstrom of wavelengths in standard air, likewise (N,).

    Ciddor (1996, Applied Optics 35, 1566), as the IAU recommends it, from 2000 Angstrom to 2.5 micron. Below
    2000 Angstrom no air is assumed.
    """
    vacuum = air.copy()
    for _ in range(_ROUNDS):
        wavenumber = np.square(1e4 / np.maximum(vacuum, 2000.0))  # per square micron
        index = 1.0 + 0.05792105 / (238.0185 - wavenumber) + 0.00167917 / (57.362 - wavenumber)
        vacuum = np.where(air >= 2000.0, air * index, air)
    return vacuum
