"""What a model says of labelled real spectra: ``python -m flows.evaluation.real_proof MODEL REAL -o DIR``.

REAL is a directory with a ``manifest.csv`` of columns file and label. Scores every spectrum on the model's
grid, whatever its class, and writes ``real.json`` and ``real.png``: how labels rank against ordinary
galaxies, how many are flagged, how repeated observations agree, and how far ordinary galaxies are from
simulated ones.
"""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from engine.evaluation.labelled_spectra import ScoredSpectra, read_labelled, score_all
from engine.evaluation.real_comparison import ORDINARY, Distance, Group, distance, groups, repeats
from engine.evaluation.real_figure import real_figure
from engine.simulation.common_grid import simulated_survey
from engine.simulation.release import SimulationSettings, simulate_release
from engine.simulation.settings import ReleaseName, SimulatedSurvey
from engine.spectra.spectra import Spectra
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from flows.console import counting
from models.atomic_files import atomic_file, write_durably
from models.spectrum_model import SpectrumModel
from models.weights import load_model

RESULTS, FIGURE = "real.json", "real.png"
_SEED = 20_261_128


def simulated_like(
    model: SpectrumModel, templates: Path | None, sky: Path | None, spectra: int, console: Console
) -> ScoredSpectra:
    """Scores of a broad population of galaxies with the half of the sky that is for proof.

    Raises
    ------
    WhyspecError : as simulation and reading do.
    """
    simulated = simulated_survey(model.card)
    parts: list[Spectra] = []
    with tempfile.TemporaryDirectory(prefix="whyspec-real-proof-") as work:
        for number, release in enumerate(simulated.spectrographs):
            out = Path(work) / release
            with counting(console, f"simulate {release}") as progress:
                simulate_release(
                    _settings(simulated, release, number, templates, sky, spectra), out, progress
                )
            parts += [read_spectra(file, 0, file.spectra) for file in list_release([str(out)]).files]
    return score_all(model, Spectra.concatenate(model.card.grid, parts))


def _settings(
    simulated: SimulatedSurvey,
    release: ReleaseName,
    number: int,
    templates: Path | None,
    sky: Path | None,
    spectra: int,
) -> SimulationSettings:
    return SimulationSettings(
        simulated.name,
        spectra // len(simulated.spectrographs),
        outlier_fraction=0.0,
        seed=_SEED + number,
        release=release,
        form=simulated.bulk_form,
        templates=templates,
        template_fraction=0.65,
        sky_fraction=0.0,
        broken_fraction=0.0,
        resolution=False,
        population="broad",
        sky=sky,
        sky_share="proof",
    )


def group_table(found: list[Group]) -> Table:
    """The groups for people."""
    table = Table(box=None, pad_edge=False)
    for name in ("label", "spectra", "scored", "flagged", "median score", "above ordinary"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for group in found:
        above = group.above_ordinary
        table.add_row(
            group.label,
            str(group.spectra),
            str(group.scored),
            str(group.flagged),
            f"{group.score:.1f}" if group.scored else "",
            f"{above.value:.2f} ({above.low:.2f} to {above.high:.2f})" if above else "",
        )
    return table


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


app = App(help=__doc__)


@app.default
def main(
    model: str,
    real: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="Directory of the results.")],
    templates: Annotated[Path | None, Parameter(help="Redrock templates, for simulated galaxies.")] = None,
    sky: Annotated[Path | None, Parameter(help="Real sky fibres, for simulated galaxies.")] = None,
    simulated: Annotated[int, Parameter(help="Galaxies to simulate; 0 for none.")] = 1000,
) -> None:
    """Compare MODEL's scores of the labelled spectra below REAL."""
    console = Console(stderr=True)
    scorer = load_model(model)
    labelled = read_labelled(real, scorer.card.grid)
    scored = score_all(scorer, labelled.spectra)
    found = groups(labelled, scored)
    apart: Distance | None = None
    if simulated:
        others = simulated_like(scorer, templates, sky, simulated, console)
        apart = distance(scored.take(labelled.label == ORDINARY), others, scorer.card.grid.wavelength())
    result = {
        "model": {"name": scorer.card.name, "digest": scorer.card.digest},
        "quarantined": labelled.quarantined,
        "groups": [asdict(group) for group in found],
        "repeats": [asdict(item) for item in repeats(labelled, scored)],
        "distance": asdict(apart) if apart else None,
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_plain(result), indent=1, allow_nan=False)
    write_durably(out / RESULTS, f"{text}\n".encode())
    with atomic_file(out / FIGURE) as partial:
        real_figure(labelled, scored, found, apart).savefig(partial, format="png", dpi=110)
    console.print(group_table(found))
    if apart:
        console.print(
            f"ordinary galaxies above simulated ones: {apart.apart.value:.2f} "
            f"({apart.apart.low:.2f} to {apart.apart.high:.2f}); "
            f"of like S/N and redshift {apart.apart_alike:.2f}"
        )


if __name__ == "__main__":
    app()
