"""Simulated spectra on the grid of their survey, as its reader would give them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.simulation.bright_sky import bright_sky
from engine.simulation.settings import SIMULATED, SimulatedSurvey
from engine.simulation.spectrum import SimulatedSpectrum
from engine.surveys.desi.arms import ARMS, ArmPixels, JoinedArms, join_arms
from engine.surveys.surveys import survey_on
from models.errors import ConfigurationError, ErrorKind
from models.grid import WavelengthGrid
from models.model_card import ModelCard


def simulated_survey(card: ModelCard) -> SimulatedSurvey:
    """What can be simulated of the survey on the model's grid.

    Raises
    ------
    ConfigurationError : there is no simulator of it.
    """
    survey = survey_on(card.grid)
    for each in SIMULATED.values():
        if survey is not None and each.name == survey.name:
            return each
    raise ConfigurationError(
        "There is no simulator of the model's instrument.",
        where=f"model {card.name}",
        got=f"grid {card.grid.name}",
        allowed=", ".join(SIMULATED),
        remedy="Evaluate a model of one of these surveys.",
        kind=ErrorKind.EVALUATION_POPULATION,
    )


def joined(
    simulated: SimulatedSpectrum, grid: WavelengthGrid, values: tuple[NDArray[np.floating], ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``values`` per arm on the grid of all arms, weighted as flux is, and their ivar; both (1, N).

    Masked pixels are 0 in both; bright sky of SDSS is masked, as its reader does.
    """
    arms = simulated.arms
    if len(arms) > 1:
        whole = JoinedArms.empty(1)
        pixels = [
            ArmPixels(place, np.asarray(value, np.float32)[None], arm.ivar[None], None)
            for place, value, arm in zip(ARMS, values, arms, strict=True)
        ]
        join_arms(pixels, whole)
        return whole.flux, whole.ivar
    (arm,), (value,) = arms, values
    first = round(float(grid.pixel(float(simulated.instrument.arms[0].wavelength[0]))))
    flux = np.zeros((1, grid.size), dtype=np.float32)
    ivar = np.zeros_like(flux)
    place = slice(first, first + len(arm.ivar))
    good = (arm.ivar > 0) & ~bright_sky(arm)
    flux[0, place] = np.where(good, value, 0)
    ivar[0, place] = np.where(good, arm.ivar, 0)
    return flux, ivar
