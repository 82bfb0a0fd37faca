"""Units and air: what carries another unit is converted or refused, never taken for Angstrom."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units
from astropy.table import MaskedColumn

from engine.spectra.air import vacuum_wavelength
from engine.spectra.units import FLUX_UNIT, angstrom, flux_and_ivar
from models.errors import InputError

WAVELENGTH = np.array([4000.0, 5000.0, 8000.0])


@pytest.mark.parametrize("unit", [units.nm, units.micron, units.Angstrom])
def test_lengths_become_angstrom(unit: units.Unit) -> None:
    np.testing.assert_allclose(angstrom((WAVELENGTH * units.Angstrom).to(unit)), WAVELENGTH)


def test_plain_numbers_are_angstrom_and_masked_ones_nan() -> None:
    np.testing.assert_array_equal(angstrom([1, 2]), [1.0, 2.0])
    found = angstrom(MaskedColumn([1.0, 2.0], mask=[False, True]))
    np.testing.assert_array_equal(found, [1.0, np.nan])


def test_a_flux_per_frequency_becomes_one_per_wavelength() -> None:
    flux = np.array([1.0, 2.0, 3.0])
    target = units.Unit(FLUX_UNIT)
    jansky = (flux * target).to(units.Jy, units.spectral_density(WAVELENGTH * units.Angstrom))
    ivar = 4.0 / jansky**2  # S/N 2 in every pixel, whatever the unit
    found = flux_and_ivar(WAVELENGTH, jansky, ivar)
    np.testing.assert_allclose(found[0], flux)
    np.testing.assert_allclose(found[0] * np.sqrt(found[1]), 2.0)


def test_a_flux_of_another_scale_keeps_its_signal_to_noise() -> None:
    flux = np.array([[1.0, 2.0, 3.0]] * 2) * units.Unit("W / (m2 micron)")
    found = flux_and_ivar(WAVELENGTH, flux, 9.0 / flux**2)
    np.testing.assert_allclose(found[0][0, 0], 1e16)  # 1 W/m2/um is 0.1 erg/s/cm2/Angstrom
    np.testing.assert_allclose(found[0] * np.sqrt(found[1]), 3.0)


@pytest.mark.parametrize(
    ("flux", "ivar", "words"),
    [
        (WAVELENGTH * units.Jy, WAVELENGTH, "one has a unit.*flux in Jy, inverse variance in plain"),
        (WAVELENGTH * units.Jy, WAVELENGTH / units.Jy, "unit of the inverse variance.*inverse square of Jy"),
        (WAVELENGTH * units.adu, WAVELENGTH / units.adu**2, "none of flux density.*adu"),
        (["x"], [1.0], "no numbers"),
    ],
)
def test_units_that_do_not_fit_are_refused(flux: object, ivar: object, words: str) -> None:
    with pytest.raises(InputError, match="(?s)" + words) as caught:
        flux_and_ivar(WAVELENGTH, flux, ivar)
    assert caught.value.kind == "own-spectrum"


def test_frequencies_are_no_wavelengths() -> None:
    with pytest.raises(InputError, match="unit of the wavelength"):
        angstrom([1.0] * units.GHz)


def test_air_is_that_of_tabulated_lines() -> None:
    # Wavelengths in air and in vacuum of NIST's Atomic Spectra Database: H beta, Na D2, H alpha (components).
    air = np.array([4861.279, 5889.950954, 6562.72])
    vacuum = np.array([4862.637, 5891.583253, 6564.53])
    np.testing.assert_allclose(vacuum_wavelength(air), vacuum, atol=0.02)
    assert vacuum_wavelength(np.array([1500.0])) == 1500.0
