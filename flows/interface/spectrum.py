"""Spectrum: one spectrum as numbers, of a store, of a file or of the user's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.spectra.own_spectrum import OwnSpectrum
from flows.interface.notebook_page import facts_page, facts_text
from flows.interface.optional_packages import optional_package

FLUX_UNIT = "1e-17 erg / (s cm2 Angstrom)"


class Spectrum(OwnSpectrum):
    """One spectrum; see :class:`engine.spectra.own_spectrum.OwnSpectrum` for its arrays and their units.

    whyspec.Spectrum(wavelength, flux, ivar, redshift=0.1, spectral_class="GALAXY")
    """

    def to_specutils(self) -> Any:
        """A :class:`specutils.Spectrum` with units, inverse variance and mask.

        Raises
        ------
        ConfigurationError : specutils is not installed.
        """
        return specutils_spectrum(self, FLUX_UNIT)

    def plot(self) -> Any:
        """A Matplotlib figure: flux of the good pixels, and its error."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10.0, 3.6), layout="constrained")
        axes = figure.subplots()
        flux = np.where(self.good, self.flux, np.nan)
        error = np.sqrt(np.divide(1.0, self.ivar, out=np.full_like(self.ivar, np.nan), where=self.good))
        axes.plot(self.wavelength, flux, linewidth=0.6, color="black", label="flux")
        axes.plot(self.wavelength, error, linewidth=0.6, color="grey", label="its error")
        axes.set(xlabel="observed wavelength (Å, vacuum)", ylabel="flux (1e-17 erg / (s cm² Å))")
        axes.set_title(self.key, fontsize=10, parse_math=False)
        axes.legend(frameon=False)
        return figure

    def __repr__(self) -> str:
        return facts_text(f"Spectrum {self.key}", self._facts())

    def _repr_html_(self) -> str:
        return facts_page(self.key, self._facts())

    def _facts(self) -> list[tuple[str, object]]:
        facts: list[tuple[str, object]] = [
            ("pixels", f"{self.wavelength.size:,}, {int(self.good.sum()):,} of them good"),
            ("wavelength", f"{self.wavelength[0]:.1f} to {self.wavelength[-1]:.1f} Å, vacuum"),
            ("redshift", f"{self.redshift:.5f}" if math.isfinite(self.redshift) else "unknown"),
            ("class", self.spectral_class or "unknown"),
        ]
        return [*facts, ("source", self.source)] if self.source else facts


def specutils_spectrum(spectrum: OwnSpectrum, flux_unit: str) -> Any:
    """A :class:`specutils.Spectrum` of it, whose flux has this unit (an astropy unit string, "" for none).

    Raises
    ------
    ConfigurationError : specutils is not installed.
    """
    specutils = optional_package("specutils", "to_specutils()")
    from astropy import units
    from astropy.nddata import InverseVariance

    unit = units.Unit(flux_unit)
    known = math.isfinite(spectrum.redshift)
    return specutils.Spectrum(
        flux=spectrum.flux * unit,
        spectral_axis=spectrum.wavelength * units.Angstrom,
        uncertainty=InverseVariance(spectrum.ivar / unit**2),
        mask=~spectrum.good,
        redshift=spectrum.redshift if known else None,
        meta={"key": spectrum.key, "target_id": spectrum.target_id, "class": spectrum.spectral_class},
    )
