"""Recipes of the models that ship with whyspec (``make models``).

Each model is trained on a broad population of one class. Most of its sources come from redrock's templates.
The others are made up from analytic continua and lines, so that neither a real source nor the simulator's own
is foreign. Sky residuals are those of the training half of real sky fibres. SDSS has two spectrographs, each
of which gives half of its set.
"""

from __future__ import annotations

import dataclasses
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console

from engine.evaluation.card_metrics import PREFIX
from engine.simulation.release import SimulationSettings, simulate_release
from engine.simulation.settings import SIMULATED, ReleaseName, SurveyName
from engine.surveys.listing import list_release
from engine.training.populations import PopulationName
from engine.training.reading import read_training_set
from engine.training.request import TrainingRequest
from flows.console import counting, notes
from flows.training.progress import TrainingBars
from models.model_card import ModelCard
from models.scoring.scoring_model import ScoringModel
from models.training.fit import TrainingPopulation, TrainingSettings, fit_network, fit_score
from models.training.spectra import TrainingSplit
from models.weights import load_network, save_model

SPECTRA = 10_000
SEED = 20_261_123
SCORE_SEED = SEED + 100
"""Of spectra that no network was trained on."""
FROM_TEMPLATES = 0.65
"""Share of the sources."""
GALAXY_REDSHIFTS = (-0.002, 0.65)
"""The nearest galaxies come towards us; the rest-frame grid reaches a little beyond both ends."""
DESI_DISTANT_REDSHIFTS, SDSS_DISTANT_REDSHIFTS = (0.55, 1.7), (0.55, 1.1)
STAR_REDSHIFTS = (-0.0051, 0.0051)
"""1,500 km/s and a little."""
DESI_QUASAR_REDSHIFTS, SDSS_QUASAR_REDSHIFTS = (0.05, 1.155), (0.05, 1.175)
DESI_DISTANT_QUASAR_REDSHIFTS, SDSS_DISTANT_QUASAR_REDSHIFTS = (1.14, 4.6), (1.172, 4.25)
"""No window of a quasar's continuum lies in the spectrum at all redshifts: one near 4500 Angstrom at rest,
or 4225, and one near 1750 share them."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A shipped model.

    Attributes
    ----------
    name : its name.
    survey, releases : of the simulated training set, in equal parts.
    spectral_class : ``GALAXY``, ``QSO`` or ``STAR``.
    redshifts : its range.
    """

    name: str
    survey: SurveyName
    releases: tuple[ReleaseName, ...]
    spectral_class: Literal["GALAXY", "QSO", "STAR"]
    redshifts: tuple[float, float]

    def settings(
        self, number: int, templates: Path, sky: Path, spectra: int, seed: int = SEED
    ) -> SimulationSettings:
        """What to simulate of its release ``number``: ``spectra`` of them."""
        return SimulationSettings(
            self.survey,
            spectra,
            outlier_fraction=0.0,
            seed=seed + number,
            release=self.releases[number],
            # One file for many spectra: written in two thirds of the time, read in a tenth of it.
            form=SIMULATED[self.survey].bulk_form,
            templates=templates,
            template_fraction=FROM_TEMPLATES,
            quasar_fraction=float(self.spectral_class == "QSO"),
            star_fraction=float(self.spectral_class == "STAR"),
            sky_fraction=0.0,
            broken_fraction=0.0,
            resolution=False,
            population="broad",
            sky=sky,
            sky_share="training",
            quasar_redshifts=self.redshifts if self.spectral_class == "QSO" else (0.05, 4.0),
            galaxy_redshifts=(max(self.redshifts[0], 0.002), self.redshifts[1])
            if self.spectral_class == "GALAXY"
            else (0.002, 0.65),
        )


RECIPES = (
    Recipe("desi-galaxy", "desi", ("dr1",), "GALAXY", GALAXY_REDSHIFTS),
    Recipe("desi-galaxy-distant", "desi", ("dr1",), "GALAXY", DESI_DISTANT_REDSHIFTS),
    Recipe("desi-quasar", "desi", ("dr1",), "QSO", DESI_QUASAR_REDSHIFTS),
    Recipe("desi-quasar-distant", "desi", ("dr1",), "QSO", DESI_DISTANT_QUASAR_REDSHIFTS),
    Recipe("desi-star", "desi", ("dr1",), "STAR", STAR_REDSHIFTS),
    Recipe("sdss-galaxy", "sdss", ("legacy", "boss"), "GALAXY", GALAXY_REDSHIFTS),
    Recipe("sdss-galaxy-distant", "sdss", ("legacy", "boss"), "GALAXY", SDSS_DISTANT_REDSHIFTS),
    Recipe("sdss-quasar", "sdss", ("legacy", "boss"), "QSO", SDSS_QUASAR_REDSHIFTS),
    Recipe("sdss-quasar-distant", "sdss", ("legacy", "boss"), "QSO", SDSS_DISTANT_QUASAR_REDSHIFTS),
    Recipe("sdss-star", "sdss", ("legacy", "boss"), "STAR", STAR_REDSHIFTS),
)


def trained(
    recipe: Recipe, training: TrainingSplit, population: TrainingPopulation, epochs: int, console: Console
) -> ScoringModel:
    """The network of ``recipe``, after at most so many ``epochs`` of the autoencoder."""
    fitting = TrainingSettings(epochs=epochs, seed=SEED % 1000, threads=1)
    data = {"simulation_seed": SEED, "releases": list(recipe.releases), "spectra": len(training)}
    with TrainingBars(console) as bars:
        return fit_network(training, population, fitting, data, lambda state, _: bars.on_event(state))


def scoring(model: ScoringModel, training: TrainingSplit, redshifts: tuple[float, float]) -> ScoringModel:
    """The network with its score and calibration fitted anew; earlier rates leave its card."""
    metrics = {name: value for name, value in model.card.metrics.items() if not name.startswith(PREFIX)}
    low, high = redshifts
    model.card = dataclasses.replace(model.card, metrics=metrics, redshift_min=low, redshift_max=high)
    fit_score(model, training, SCORE_SEED)
    return model


@dataclass(frozen=True, slots=True)
class Shares:
    """Seed of a set of spectra, and the shares of it to fit the score's parts on, and to calibrate on."""

    seed: int
    validation: float
    calibration: float


TO_TRAIN, TO_SCORE = Shares(SEED, 0.1, 0.2), Shares(SCORE_SEED, 0.4, 0.6)
"""A score needs no training spectra: all of its own serve its parts and its tails."""


def training_set(
    recipe: Recipe,
    shares: Shares,
    templates: Path,
    sky: Path,
    work: Path,
    spectra: int,
    console: Console,
    network: ModelCard | None = None,
) -> tuple[TrainingSplit, TrainingPopulation]:
    """The training set of ``recipe``, simulated below ``work`` and read from there.

    With the card of a ``network`` its spectra are normalised as that network wants them; else in the first
    window that suits the redshifts that happen to be drawn.

    Raises
    ------
    WhyspecError : as simulation and reading do.
    """
    files: list[str] = []
    for number, release in enumerate(recipe.releases):
        count = spectra // len(recipe.releases)
        settings = recipe.settings(number, templates, sky, count, shares.seed)
        out = work / recipe.name / release
        with counting(console, f"simulate {release}") as progress:
            simulate_release(settings, out, progress)
        files += [file.url for file in list_release([str(out)]).files]
    request = TrainingRequest(
        release=tuple(files),
        directory="",
        name=recipe.name,
        population=_POPULATIONS[recipe.spectral_class],
        limit=spectra,
        validation=shares.validation,
        calibration=shares.calibration,
        redshift=None if network is None else recipe.redshifts,
        window=None if network is None else (network.normalisation_min, network.normalisation_max),
    )
    training, population = read_training_set(list_release(files), request)
    description = (
        f"simulated {_PLURALS[recipe.spectral_class]} ({', '.join(recipe.releases)}), broad population"
    )
    low, high = recipe.redshifts
    return training, dataclasses.replace(
        population, description=description, redshift_min=low, redshift_max=high
    )


_POPULATIONS: dict[str, PopulationName] = {"GALAXY": "galaxy", "QSO": "quasar", "STAR": "star"}
_PLURALS = {"GALAXY": "galaxies", "QSO": "quasars", "STAR": "stars"}


@dataclass(frozen=True)
class Workshop:
    """What models are made of and how; see the options of :func:`main`."""

    templates: Path
    sky: Path
    output: Path
    spectra: int
    epochs: int
    refit: Path | None

    def make(self, recipe: Recipe) -> str:
        """Make the model of ``recipe``; returns what it is, for people."""
        console = notes()
        with tempfile.TemporaryDirectory(prefix="whyspec-models-") as work:
            if self.refit is None:
                network = trained(recipe, *self._spectra(recipe, TO_TRAIN, work), self.epochs, console)
            else:
                network = load_network(str(self.refit / recipe.name))
            training, _ = self._spectra(recipe, TO_SCORE, work, network.card)
            card = save_model(scoring(network, training, recipe.redshifts), self.output / recipe.name)
        return f"{card.name}: {card.digest}, {dict(card.metrics)}"

    def _spectra(
        self, recipe: Recipe, shares: Shares, work: str, network: ModelCard | None = None
    ) -> tuple[TrainingSplit, TrainingPopulation]:
        directory = Path(work) / str(shares.seed)
        return training_set(
            recipe, shares, self.templates, self.sky, directory, self.spectra, notes(), network
        )


app = App(help=__doc__)


@app.default
def main(
    templates: Path,
    *,
    sky: Annotated[Path, Parameter(help="Directory of real SDSS sky fibres, spec-*.fits.")],
    output: Annotated[
        Path,
        Parameter(name=["--output", "-o"], help="Directory of the models' directories, which are replaced."),
    ],
    only: Annotated[str, Parameter(help="Name of one model; all when left out.")] = "",
    spectra: Annotated[int, Parameter(help="Spectra to simulate for a network, and for a score.")] = SPECTRA,
    epochs: Annotated[int, Parameter(help="Passes of the autoencoder over them, at most.")] = 14,
    jobs: Annotated[int, Parameter(help="Models that are made at the same time, on one core each.")] = 1,
    refit: Annotated[
        Path | None,
        Parameter(help="Directory of models' directories: keep their networks, fit scores and calibrations."),
    ] = None,
) -> None:
    """Train the shipped models anew from redrock TEMPLATES and real sky."""
    work = Workshop(templates, sky, output, spectra, epochs, refit)
    wanted = _wanted(only, refit)
    # Started anew: a process that is forked from one with threads may hang.
    with ProcessPoolExecutor(min(jobs, len(wanted)), mp_context=get_context("spawn")) as pool:
        for text in pool.map(work.make, wanted):
            notes().print(text, soft_wrap=True)


def _wanted(only: str, refit: Path | None) -> list[Recipe]:
    """All recipes, or one; of models to refit those that are there."""
    there = [each for each in RECIPES if refit is None or (refit / each.name).is_dir()]
    return [each for each in there if only in ("", each.name)]


if __name__ == "__main__":
    app()
