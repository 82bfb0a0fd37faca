"""Spectra that no model was trained on: simulated for a model's grid, classes and redshifts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.simulation.broad_spectrum import spectrum_maker
from engine.simulation.common_grid import joined, simulated_survey
from engine.simulation.settings import LARGEST_GALAXY_REDSHIFT, PopulationName, SimulationSettings, SkyShare
from engine.simulation.spectrum import SimulatedSpectrum
from engine.spectra.normalisation import normalise
from engine.spectra.rows import Rows
from engine.spectra.spectra import Spectra
from models.errors import ConfigurationError, ErrorKind
from models.grid import WavelengthGrid
from models.model_card import ModelCard
from models.row_status import RowStatus
from models.signal_to_noise import median_snr

Progress = Callable[[int, int], None]

CLASSES = ("GALAXY", "QSO", "STAR")
_TRIES = 20
"""Spectra drawn for each that is wanted, before it is said that the model's redshifts are out of reach."""
_EVALUATION = 0x65766174
"""Parts the seeds of evaluations from those of releases: the same number gives other spectra."""


@dataclass(frozen=True)
class HeldOutSettings:
    """Which spectra to simulate.

    Attributes
    ----------
    spectra : their number, sky and broken fibres not among them.
    seed : the same seed gives the same spectra; none of them is in any release that
        ``whyspec simulate`` writes, whatever its seed.
    templates : directory of redrock templates, from which half of the sources are then drawn; None for
        analytic continua and lines alone.
    sky : directory of real sky fibres; None for a modelled sky.
    population : ``broad``, like what models are trained on, or ``plain``.
    sky_share : which half of the fibres: ``proof``, with which no model is trained, or ``training``.
    """

    spectra: int
    seed: int
    templates: Path | None = None
    sky: Path | None = None
    population: PopulationName = "broad"
    sky_share: SkyShare = "proof"

    def __post_init__(self) -> None:
        if not 1 <= self.spectra <= 100_000:
            raise _setting("spectra", self.spectra, "1 to 100000")
        if not 0 <= self.seed < 2**63:
            raise _setting("seed", self.seed, "0 to 2^63 - 1")


@dataclass(frozen=True)
class HeldOutSpectrum:
    """A simulated spectrum on the grid of the model.

    Attributes
    ----------
    index : its place in what the seed gives.
    simulated : arms, truth and noise.
    spectrum : one row, as a reader would give it.
    """

    index: int
    simulated: SimulatedSpectrum
    spectrum: Spectra


def held_out_spectra(
    card: ModelCard, settings: HeldOutSettings, progress: Progress = lambda *_: None
) -> Iterator[HeldOutSpectrum]:
    """Spectra that the model of ``card`` may score, ``settings.spectra`` of them, in order of index.

    Those outside the model's redshifts, or otherwise not to be scored, are skipped. A model of several
    classes gets spectra of each in turn, one of several spectrographs spectra of each in turn.

    Raises
    ------
    ConfigurationError : there is no simulator for the model's grid or classes, or it gives hardly any
        spectra that the model may score.
    InputError : there are no templates.
    """
    classes = _classes(card)
    simulations = [(name, each) for each in _simulations(card, settings) for name in classes]
    makers = [(name, spectrum_maker(_of_class(each, name, card))) for name, each in simulations]
    found = 0
    for index in range(settings.spectra * _TRIES):
        name, make = makers[index % len(makers)]
        simulated = make(index)
        spectrum = on_grid(simulated, card.grid, name)
        if not normalise(spectrum, card, ()).scorable[0]:
            continue
        yield HeldOutSpectrum(index, simulated, spectrum)
        found += 1
        progress(found, settings.spectra)
        if found == settings.spectra:
            return
    raise ConfigurationError(
        "Hardly any simulated spectrum can be scored by the model.",
        where=f"model {card.name}",
        got=f"{found} of {settings.spectra * _TRIES}, for redshifts {card.redshift_min:.3f} to "
        f"{card.redshift_max:.3f}",
        allowed=f"{settings.spectra}",
        remedy="Evaluate a model whose redshifts overlap those of the simulation.",
        kind=ErrorKind.EVALUATION_POPULATION,
    )


def on_grid(simulated: SimulatedSpectrum, grid: WavelengthGrid, spectype: str) -> Spectra:
    """The simulated spectrum as a reader gives it: arms joined, on ``grid``."""
    flux, ivar = joined(simulated, grid, tuple(arm.flux for arm in simulated.arms))
    rows = Rows.empty(1)
    rows.data["redshift"] = simulated.source.redshift
    rows.data["spectype"] = spectype
    rows.data["snr"] = median_snr(flux, ivar)
    rows.data["status"] = RowStatus.SCORED
    return Spectra(grid, flux, ivar, rows)


def _classes(card: ModelCard) -> tuple[str, ...]:
    unknown = [name for name in card.classes if name not in CLASSES]
    if unknown:
        raise ConfigurationError(
            "The simulator has no spectra of a class of the model.",
            where=f"model {card.name}",
            got=", ".join(unknown),
            allowed=", ".join(CLASSES),
            remedy="Evaluate a model of these classes.",
            kind=ErrorKind.EVALUATION_POPULATION,
        )
    return card.classes or CLASSES


def _simulations(card: ModelCard, settings: HeldOutSettings) -> list[SimulationSettings]:
    simulated = simulated_survey(card)
    seed = int(np.random.SeedSequence((settings.seed, _EVALUATION)).generate_state(1, np.uint64)[0] >> 1)
    return [
        SimulationSettings(
            simulated.name,
            settings.spectra,
            outlier_fraction=0.0,
            seed=seed,
            release=release,
            templates=settings.templates,
            template_fraction=0.5,
            sky_fraction=0.0,
            broken_fraction=0.0,
            population=settings.population,
            sky=settings.sky,
            sky_share=settings.sky_share,
        )
        for release in simulated.spectrographs
    ]


def _of_class(settings: SimulationSettings, name: str, card: ModelCard) -> SimulationSettings:
    if name == "QSO":
        redshifts = (max(card.redshift_min, 0.0), card.redshift_max)
        return replace(settings, quasar_fraction=1.0, quasar_redshifts=redshifts)
    if name == "STAR":
        return replace(settings, star_fraction=1.0)
    least, largest = settings.galaxy_redshifts
    low, high = max(card.redshift_min, least), min(card.redshift_max, LARGEST_GALAXY_REDSHIFT)
    return replace(settings, galaxy_redshifts=(low, high)) if largest < high and low < high else settings


def _setting(name: str, got: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        "A setting of the evaluation is out of range.",
        where=name,
        got=got,
        allowed=allowed,
        remedy=f"Give {name} a value in the allowed range.",
        kind=ErrorKind.EVALUATION_SETTING,
    )
