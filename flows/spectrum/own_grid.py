"""Own grid: on which survey's grid an own spectrum is scored, and the spectrum there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.spectra.own_spectrum import OwnSpectrum
from engine.spectra.resampling import is_on, on_grid
from engine.surveys.surveys import SURVEYS
from flows.spectrum.spectrum_choice import ChosenSpectrum
from models.errors import ErrorKind, InputError
from models.grid import WavelengthGrid

DEFAULT_CLASS = "GALAXY"
NO_CLASS = f"No class was given: the spectrum is taken for a {DEFAULT_CLASS}."
"""Said of a spectrum whose class is unknown."""


def grid_for(spectrum: OwnSpectrum) -> WavelengthGrid:
    """The grid of the survey whose pixels the spectrum has; of any other spectrum the first survey's."""
    grids = [grid for survey in SURVEYS for grid in survey.grids]
    return next((grid for grid in grids if is_on(grid, spectrum.wavelength)), grids[0])


def chosen_on(spectrum: OwnSpectrum, grid: WavelengthGrid) -> ChosenSpectrum:
    """The spectrum as one that can be scored, with what was assumed and done.

    Raises
    ------
    InputError : its redshift is unknown.
    """
    if not np.isfinite(spectrum.redshift):
        raise no_redshift(spectrum)
    notes = list(spectrum.notes)
    if not spectrum.spectral_class:
        notes.append(NO_CLASS)
        spectrum = replace(spectrum, spectral_class=DEFAULT_CLASS)
    if not is_on(grid, spectrum.wavelength):
        notes.append(
            f"The spectrum was resampled to the {grid.name} grid: neighbouring pixels share noise, which the "
            "score does not know, and the model has seen another resolution. Take the tail probability for a "
            "hint."
        )
    return ChosenSpectrum(spectrum.source, on_grid(spectrum, grid), tuple(notes))


def no_redshift(spectrum: OwnSpectrum) -> InputError:
    """The error of a spectrum whose redshift nobody says."""
    return InputError(
        "The spectrum has no redshift.",
        where=spectrum.where,
        got="none in the data, and none was given",
        allowed="a number",
        remedy="Give it: --redshift Z on the command line, redshift=Z in Python.",
        kind=ErrorKind.NO_REDSHIFT,
    )
