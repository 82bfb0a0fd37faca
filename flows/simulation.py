"""Simulating a release from the command line."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from engine.simulation.release import SimulatedRelease, SimulationSettings, simulate_release
from flows.progress_bar import counting


def simulate_to(out: Path, settings: SimulationSettings, console: Console) -> SimulatedRelease:
    """Write the release that ``settings`` describe, with a progress bar.

    Raises
    ------
    ConfigurationError, InputError : see :func:`engine.simulation.release.simulate_release`.
    """
    with counting(console, "simulate spectra") as progress:
        return simulate_release(settings, out, progress)
