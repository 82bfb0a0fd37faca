"""Observed wavelengths at which instruments and sky, not objects, tend to make spectra odd."""

from __future__ import annotations

from dataclasses import dataclass

from models.grid import WavelengthGrid


@dataclass(frozen=True, slots=True)
class ObservedMark:
    """A range of observed vacuum wavelengths in Angstrom; ``name`` says what is there."""

    name: str
    first: float
    last: float


# Telluric line positions: Osterbrock et al. (1996, PASP 108, 277), air wavelengths carried to
# vacuum; absorption bands: Hinkle et al. (2003).
_SKY = (
    ObservedMark("Hg I sky", 4357.5, 4361.5),
    ObservedMark("[O I] sky", 5574.0, 5584.0),
    ObservedMark("Na I sky", 5886.0, 5902.0),
    ObservedMark("[O I] sky", 6298.0, 6306.0),
    ObservedMark("O₂ B band", 6866.0, 6946.0),
    ObservedMark("O₂ A band", 7592.0, 7702.0),
    ObservedMark("OH and H₂O", 9300.0, 9560.0),
)
# Where DESI's arms overlap: DESI Collaboration (2022, AJ 164, 207). SDSS: the dichroic of Smee et
# al. (2013, AJ 146, 32).
_ARMS = {
    "desi": (ObservedMark("b–r overlap", 5760.0, 5800.0), ObservedMark("r–z overlap", 7520.0, 7620.0)),
    "sdss": (ObservedMark("dichroic", 5800.0, 6200.0),),
}


def observed_marks(grid: WavelengthGrid) -> tuple[ObservedMark, ...]:
    """Sky lines, absorption bands and arm overlaps on this grid, ascending."""
    wavelength = grid.wavelength()
    inside = [
        mark
        for mark in (*_SKY, *_ARMS.get(grid.name, ()))
        if mark.last >= wavelength[0] and mark.first <= wavelength[-1]
    ]
    return tuple(sorted(inside, key=lambda mark: mark.first))
