"""Observed wavelengths at which instruments and sky, not objects, tend to make spectra odd."""

from __future__ import annotations

from engine.surveys.survey import ObservedMark
from engine.surveys.surveys import survey_on
from models.grid import WavelengthGrid

# Telluric line positions: Osterbrock et al. (1996, PASP 108, 277), air wavelengths carried to
# vacuum; absorption bands: Hinkle et al. (2003).
_SKY = (
    ObservedMark("Hg I sky", 4357.5, 4361.5, "sky"),
    ObservedMark("[O I] sky", 5574.0, 5584.0, "sky"),
    ObservedMark("Na I sky", 5886.0, 5902.0, "sky"),
    ObservedMark("[O I] sky", 6298.0, 6306.0, "sky"),
    ObservedMark("O₂ B band", 6866.0, 6946.0, "sky"),
    ObservedMark("O₂ A band", 7592.0, 7702.0, "sky"),
    ObservedMark("OH and H₂O", 9300.0, 9560.0, "sky"),
)


def observed_marks(grid: WavelengthGrid) -> tuple[ObservedMark, ...]:
    """Sky lines, absorption bands and the marks of the survey's instrument on this grid, ascending."""
    wavelength = grid.wavelength()
    survey = survey_on(grid)
    instrument = survey.observed_marks if survey is not None else ()
    inside = [
        mark for mark in (*_SKY, *instrument) if mark.last >= wavelength[0] and mark.first <= wavelength[-1]
    ]
    return tuple(sorted(inside, key=lambda mark: mark.first))
