"""The demonstration: a release with known anomalies, found and explained in a few minutes."""

from __future__ import annotations

from pathlib import Path


def demo(
    *,
    directory: Path = Path("demo"),
    spectra: int = 2000,
    outliers: float = 0.03,
    seed: int = 1,
    model: str | None = None,
) -> int:
    """Simulate a small DESI release with injected anomalies, run everything on it, show what was found.

    whyspec demo --directory demo

    It takes a few minutes on two cores and writes only below the directory. Run it again to continue a
    stopped demo or to see the tables again.

    Parameters
    ----------
    directory
        Directory for release, store and report.
    spectra
        Number of simulated spectra.
    outliers
        Share of galaxies that carry an injected anomaly, 0 to 1.
    seed
        Seed of the simulation.
    model
        Name or directory of the scoring model; the one that ships for DESI if left out.
    """
    from flows.console import messages
    from flows.demo import run_demo

    summary = run_demo(directory, spectra, outliers, seed, model, messages(as_json=False))
    return 3 if summary.quarantined else 0
