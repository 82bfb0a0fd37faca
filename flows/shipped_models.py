"""How the models that ship with whyspec are made: ``python -m flows.shipped_models TEMPLATES``.

Half of the training galaxies are drawn from redrock's galaxy templates and their real coefficient
rows, half are made up from analytic continua and emission lines, so that neither a real galaxy nor
the simulator's own is foreign. SDSS has two spectrographs, each of which gives half of its set.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console

from engine.layouts.registry import list_release
from engine.simulation.release import SimulationSettings, simulate_release
from engine.simulation.settings import ReleaseName
from flows.progress_bar import counting
from flows.training_progress import TrainingBars
from flows.training_request import TrainingRequest
from flows.training_set import read_training_set
from models.model_card import ModelCard
from models.training import TrainingSettings, fit
from models.weights import PRETRAINED, save_model

SPECTRA = 8_000
SEED = 20_261_123


@dataclass(frozen=True, slots=True)
class Recipe:
    """A shipped model: its name, and the releases of which its training set is made."""

    name: str
    survey: Literal["desi", "sdss"]
    releases: tuple[ReleaseName, ...]


RECIPES = (
    Recipe("desi-galaxy", "desi", ("dr1",)),
    Recipe("sdss-galaxy", "sdss", ("legacy", "boss")),
)


def make(
    recipe: Recipe, templates: Path, work: Path, spectra: int, epochs: int, console: Console
) -> ModelCard:
    """Simulate, train, save among the shipped models.

    Parameters
    ----------
    recipe : which model.
    templates : directory of redrock templates.
    work : scratch directory for the simulated releases.
    spectra : rows to simulate; epochs : of the autoencoder.

    Raises
    ------
    WhyspecError : as simulation and training do.
    """
    files: list[str] = []
    for number, release in enumerate(recipe.releases):
        settings = SimulationSettings(
            recipe.survey,
            spectra // len(recipe.releases),
            outlier_fraction=0.0,
            seed=SEED + number,
            release=release,
            templates=templates,
            template_fraction=0.5,
            sky_fraction=0.0,
            broken_fraction=0.0,
            resolution=False,
        )
        out = work / recipe.name / release
        with counting(console, f"simulate {release}") as progress:
            simulate_release(settings, out, progress)
        files += sorted(
            str(path) for pattern in ("coadd-*.fits", "spec-*.fits") for path in out.rglob(pattern)
        )
    listing = list_release(files)
    request = TrainingRequest(release=tuple(files), directory="", name=recipe.name, limit=spectra)
    training, population = read_training_set(listing, request)
    population = dataclasses.replace(
        population,
        description=f"simulated galaxies ({', '.join(recipe.releases)}), half from redrock templates",
        redshift_min=0.0,
        redshift_max=0.65,
    )
    fitting = TrainingSettings(epochs=epochs, seed=SEED % 1000)
    data = {"simulation_seed": SEED, "releases": list(recipe.releases), "spectra": len(training)}
    with TrainingBars(console) as bars:
        model = fit(training, population, fitting, data, lambda state, _: bars.epoch(state))
    return save_model(model, PRETRAINED / recipe.name)


app = App(help=__doc__)


@app.default
def main(
    templates: Path,
    *,
    only: Annotated[str, Parameter(help="Name of one model; all when left out.")] = "",
    spectra: Annotated[int, Parameter(help="Spectra to simulate for each model.")] = SPECTRA,
    epochs: Annotated[int, Parameter(help="Passes of the autoencoder over them, at most.")] = 20,
) -> None:
    """Train the shipped models anew from redrock TEMPLATES."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="whyspec-models-") as work:
        for recipe in RECIPES:
            if only in ("", recipe.name):
                card = make(recipe, templates, Path(work), spectra, epochs, console)
                console.print(f"{card.name}: {card.digest}, {dict(card.metrics)}")
                shutil.rmtree(Path(work) / recipe.name)


if __name__ == "__main__":
    app()
