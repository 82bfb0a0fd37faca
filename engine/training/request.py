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
    window : rest-frame window that normalises the spectra, Angstrom; None for one that is covered at these
        redshifts. Goes with ``redshift``.
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
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        refuse_credentials(*self.release, self.directory, self.cache)


@dataclass(frozen=True)
class AdaptingRequest:
    """Which model to adapt to which release, and how.

    Attributes
    ----------
    release, layout, directory, name, limit, cache, cache_bytes, seed, threads : as of a training.
    model : name of a shipped model, or directory of one.
    outliers : largest share of the spectra that is taken for outliers, 0 to 1.

    Raises
    ------
    InputError : a path or URL holds credentials, which Prefect would show.
    """

    release: tuple[str, ...]
    directory: str
    name: str
    model: str
    layout: str = ""
    limit: int = 10_000
    outliers: float = 0.03
    cache: str = ""
    cache_bytes: int = 8_000_000_000
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        refuse_credentials(*self.release, self.directory, self.model, self.cache)
