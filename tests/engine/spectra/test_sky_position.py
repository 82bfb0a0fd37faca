"""Cells of the sky: those of astropy_healpix, without the time that its package takes to import."""

from __future__ import annotations

import subprocess
import sys

import astropy.units as u
import numpy as np
from astropy_healpix import lonlat_to_healpix

from engine.spectra.sky_position import healpix_29
from tests.small_run import environment


def test_cells_are_those_of_astropy_healpix() -> None:
    generator = np.random.default_rng(5)
    ra = np.concatenate([generator.uniform(-180, 360, 100_000), [0.0, 360.0, 45.0, 0.0, 180.0]])
    dec = np.degrees(np.arcsin(generator.uniform(-1, 1, 100_000)))
    dec = np.concatenate([dec, [90.0, -90.0, 0.0, 41.8103148957786, -41.8103148957786]])
    expected = lonlat_to_healpix(ra * u.deg, dec * u.deg, 2**29, order="nested")
    np.testing.assert_array_equal(healpix_29(ra, dec), expected)


def test_what_is_nowhere_has_no_cell() -> None:
    ra, dec = np.array([np.nan, 1.0, np.inf, 1.0]), np.array([1.0, np.nan, 1.0, 90.5])
    assert healpix_29(ra, dec).tolist() == [-1, -1, -1, -1]


def test_no_coordinates_of_astropy_are_imported() -> None:
    code = (
        "import sys, numpy as np; from engine.spectra.sky_position import healpix_29; "
        "healpix_29(np.ones(1), np.ones(1)); print(*(each for each in sys.modules if each[:8] == 'astropy.'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
