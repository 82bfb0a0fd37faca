"""What is asked of a training. Plain data: Prefect shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingRequest:
    """What to train on and how.

    Attributes
    ----------
    release, layout : as for a run.
    directory : where the model goes; name : what it is called.
    classes : spectral classes to train on; empty for all.
    limit : use at most so many spectra, taken evenly over the files.
    validation, calibration : shares of the spectra held out to stop by and to calibrate on.
    epochs, seed, threads : of the fit; everything else as in ``models.training``.
    """

    release: tuple[str, ...]
    directory: str
    name: str
    layout: str = ""
    classes: tuple[str, ...] = ("GALAXY",)
    limit: int = 20_000
    validation: float = 0.05
    calibration: float = 0.2
    epochs: int = 40
    seed: int = 0
    threads: int = 2
