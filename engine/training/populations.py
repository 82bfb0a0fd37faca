"""Populations to train on: their redshifts, and the windows that normalise them on every grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.surveys.surveys import survey_on
from models.errors import ConfigurationError, ErrorKind
from models.grid import WavelengthGrid

PopulationName = Literal["galaxy", "quasar", "star", "all"]
Range = tuple[float, float]

REDSHIFT_TAILS = (0.002, 0.998)
"""Quantiles of the spectra's redshifts between which a model is made."""

REDSHIFT_MARGIN = 0.002
"""Added on either side of them: 600 km/s. What is left of the redshift of a star is its velocity."""


@dataclass(frozen=True, slots=True)
class Population:
    """A population of objects to train on.

    Attributes
    ----------
    redshifts : possible redshifts of such objects; spectra at others are left out.
    windows : rest-frame windows with little else than continuum, Angstrom, in order of preference.
    """

    redshifts: Range
    windows: tuple[Range, ...]


_GALAXY = ((5300.0, 5850.0), (4050.0, 4300.0), (3610.0, 3700.0), (3100.0, 3300.0), (2000.0, 2300.0))
# Continuum windows of fits to quasars, those at least 100 Angstrom wide, and one beyond C IV.
_QUASAR = (
    (5100.0, 5535.0), (4435.0, 4640.0), (4150.0, 4300.0), (2925.0, 3400.0), (2480.0, 2675.0),
    (2155.0, 2400.0), (1690.0, 1810.0), (1430.0, 1465.0),
)  # fmt: skip

POPULATIONS: dict[PopulationName, Population] = {
    "galaxy": Population((-0.005, 2.0), _GALAXY),
    "quasar": Population((0.0, 7.0), _QUASAR),
    "star": Population((-0.0055, 0.0055), ((6050.0, 6850.0),)),
    "all": Population((-0.005, 7.0), (*_GALAXY, *_QUASAR)),
}


@dataclass(frozen=True, slots=True)
class RedshiftRange:
    """The redshifts of a model, and the rest-frame window in Angstrom that normalises its spectra."""

    redshifts: Range
    window: Range


def coverage(grid: WavelengthGrid, surveys: set[str]) -> Range:
    """The wavelengths in Angstrom that the spectra of these surveys, as rows name them, have in common."""
    survey = survey_on(grid)
    if survey is None or survey.coverage is None:
        wavelength = grid.wavelength()
        return float(wavelength[0]), float(wavelength[-1])
    ends = [survey.coverage(name) for name in surveys]
    return max(first for first, _ in ends), min(last for _, last in ends)


def fitted_range(name: PopulationName, redshifts: NDArray[np.float64], covered: Range) -> RedshiftRange:
    """The range and window for spectra at ``redshifts``, (n,).

    The first window that is covered at all of them; where none is, the one for most spectra, with the
    redshifts at which it is.

    Raises
    ------
    ConfigurationError : no redshift is one that an object of the population can have, or no window is
        covered at any.
    """
    population = POPULATIONS[name]
    low, high = population.redshifts
    possible = redshifts[(redshifts >= low) & (redshifts <= high)]
    if not len(possible):
        raise _no_window(name, covered, "no spectrum at a redshift that such objects have")
    first, last = (float(value) for value in np.quantile(possible, REDSHIFT_TAILS))
    low, high = max(low, first - REDSHIFT_MARGIN), min(high, last + REDSHIFT_MARGIN)
    best, most = None, 0
    for window in population.windows:
        least, greatest = _redshifts_of(window, covered)
        if least <= low and greatest >= high:
            return RedshiftRange((low, high), window)
        within = (max(low, least), min(high, greatest))
        count = int(((possible >= within[0]) & (possible <= within[1])).sum())
        if count > most:
            best, most = RedshiftRange(within, window), count
    if best is None:
        raise _no_window(name, covered, f"redshifts {low:.3f} to {high:.3f}")
    return best


def requested_range(name: PopulationName, redshifts: Range, covered: Range) -> RedshiftRange:
    """The window for a range of redshifts that the user named.

    Raises
    ------
    ConfigurationError : none is covered at all of them, or they are not a range.
    """
    low, high = redshifts
    if not -1.0 < low < high:
        raise ConfigurationError(
            "A range of redshifts has a low end, then a high end.",
            where="--redshift",
            got=f"{low} {high}",
            allowed="two numbers above -1, the lower one first",
            remedy="Name them in that order.",
            kind=ErrorKind.OPTION,
        )
    for window in POPULATIONS[name].windows:
        least, greatest = _redshifts_of(window, covered)
        if least <= low and greatest >= high:
            return RedshiftRange(redshifts, window)
    raise _no_window(name, covered, f"redshifts {low:.3f} to {high:.3f}")


def _redshifts_of(window: Range, covered: Range) -> Range:
    """The redshifts at which half of the window, or more, is covered: the median of half is much the same."""
    middle = 0.5 * (window[0] + window[1])
    return covered[0] / middle - 1.0, covered[1] / middle - 1.0


def _no_window(name: PopulationName, covered: Range, got: str) -> ConfigurationError:
    spans = []
    for window in POPULATIONS[name].windows:
        least, greatest = _redshifts_of(window, covered)
        if greatest > least:
            spans.append(f"{least:.3f} to {greatest:.3f} ({window[0]:.0f}-{window[1]:.0f} Angstrom at rest)")
    return ConfigurationError(
        "No window of the continuum is covered at all redshifts: the spectra cannot be normalised.",
        where=f"population {name}, {covered[0]:.0f} to {covered[1]:.0f} Angstrom",
        got=got,
        allowed="; ".join(spans),
        remedy="Name a narrower --redshift LOW HIGH, or another --population.",
        kind=ErrorKind.NORMALISATION_WINDOW,
    )
