"""Emission lines of gas: rest vacuum wavelengths and fluxes, as templates need them."""

from __future__ import annotations

SPEED_OF_LIGHT = 299792.458
"""km/s."""

GAS_LINES = (
    ("[O II]", 3728.48), ("Hβ", 4862.68), ("[O III] 4960", 4960.30), ("[O III] 5008", 5008.24),
    ("Hα", 6564.61), ("[N II] 6585", 6585.27), ("[S II] 6718", 6718.29), ("[S II] 6733", 6732.67),
)  # fmt: skip
"""Name, rest wavelength in vacuum in Angstrom (NIST ASD)."""

GAS_FLUXES = (
    (1.5, 1.0, 0.10, 0.3, 3.0, 1.0, 0.5, 0.4),
    (3.0, 1.0, 0.50, 1.5, 3.0, 0.5, 0.5, 0.4),
    (2.0, 1.0, 1.70, 5.0, 3.0, 0.1, 0.2, 0.15),
)
"""Fluxes relative to Hβ of ``GAS_LINES``: metal-rich, medium and metal-poor star-forming gas, places on the
sequence of Kewley et al. (2006, MNRAS 372, 961); Balmer lines of case B (Osterbrock & Ferland 2006)."""
