"""Requests for a training. Plain data: Prefect shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.training.populations import PopulationName
from models.credentials import refuse_credentials

KindName = Literal["local", "variational", "variational-published"]
"""Kinds of models that can be trained."""


@dataclass(frozen=True)
class TrainingRequest:
    """What to train on, and how.

    Attributes
    ----------
    release, layout : as for a run.
    directory : where the model goes; name : what it is called.
    population : what to train on.
    redshift : its range of redshifts, low and high; None for that of the spectra.
    limit : use at most so many spectra.
    validation, calibration : shares of the objects held out to stop by and to calibrate on.
    cache : directory of the prepared spectra; empty for one below ``directory`` that goes when the model
        is there.
    cache_bytes : what they may take there.
    kind : of the model, see ``flows.training.kinds``.
    epochs, seed, threads : of the fit; everything else as in ``models.training.fit``.

    Raises
    ------
    InputError : a path or URL holds credentials, which Prefect would show.
    """

    release: tuple[str, ...]
    directory: str
    name: str
    layout: str = ""
    population: PopulationName = "galaxy"
    redshift: tuple[float, float] | None = None
    limit: int = 20_000
    validation: float = 0.05
    calibration: float = 0.2
    cache: str = ""
    cache_bytes: int = 8_000_000_000
    kind: KindName = "local"
    epochs: int = 40
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        refuse_credentials(*self.release, self.directory, self.cache)
