"""The grid of SDSS's spectra."""

from __future__ import annotations

from models.grid import WavelengthGrid

SDSS_GRID = WavelengthGrid("sdss", "log10", 3.54, 1e-4, 4801)
"""Holds every SDSS, BOSS and eBOSS coadd: log10 wavelength 3.54 to 4.02 in steps of 1e-4."""
