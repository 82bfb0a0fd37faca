"""The grid of DESI's spectra."""

from __future__ import annotations

from models.grid import WavelengthGrid

DESI_GRID = WavelengthGrid("desi", "linear", 3600.0, 0.8, 7781)
"""The common grid of the three arms, EDR to DR2: 3600 to 9824 Angstrom in steps of 0.8."""
