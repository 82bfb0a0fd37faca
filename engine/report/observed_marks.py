"""Observed wavelengths at which instruments and sky, not objects, tend to make spectra odd."""

from __future__ import annotations

from engine.surveys.survey import ObservedMark
from engine.surveys.surveys import survey_on
from models.grid import WavelengthGrid
from models.sky_lines import SKY_RANGES


def observed_marks(grid: WavelengthGrid) -> tuple[ObservedMark, ...]:
    """Sky lines, absorption bands and the marks of the survey's instrument on this grid, ascending."""
    wavelength = grid.wavelength()
    survey = survey_on(grid)
    instrument = survey.observed_marks if survey is not None else ()
    sky = (ObservedMark(name, first, last, "sky") for name, first, last in SKY_RANGES)
    inside = [
        mark for mark in (*sky, *instrument) if mark.last >= wavelength[0] and mark.first <= wavelength[-1]
    ]
    return tuple(sorted(inside, key=lambda mark: mark.first))
