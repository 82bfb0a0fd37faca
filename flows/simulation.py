"""Simulating a release from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.console import Console

from engine.simulation.release import SimulatedRelease, SimulationSettings, simulate_release
from flows.progress_bar import counting


def simulate_to(
    out: Path,
    survey: Literal["desi", "sdss"],
    form: Literal["coadd", "spec", "plate"] | None,
    spectra: int,
    outliers: float,
    seed: int,
    templates: Path | None,
    console: Console,
) -> SimulatedRelease:
    """Write a simulated release, with a progress bar.

    Raises
    ------
    ConfigurationError, InputError : see :func:`engine.simulation.release.simulate_release`.
    """
    settings = SimulationSettings(survey, spectra, outliers, seed, form=form, templates=templates)
    with counting(console, "simulate spectra") as progress:
        return simulate_release(settings, out, progress)
