"""Random streams: one per spectrum and purpose, so that a spectrum depends on nothing but seed and index."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a stream of random numbers is for. Codes enter the seed, so they are never renumbered."""

    SOURCE = 0
    INSTRUMENT = 1
    ANOMALY = 2
    CATALOGUE = 3
    FILE = 4
    RELEASE = 5
    REDSHIFT = 6
    MASK = 7
    NIGHT = 8
    FLAWS = 9
    EXPOSURES = 10


def generator(seed: int, stream: Stream, index: int = 0) -> np.random.Generator:
    """The generator of ``stream`` for spectrum (or file) ``index``.

    Streams are separate, so drawing an anomaly, or not, leaves galaxy and noise as they were.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(int(stream), index))))


def log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    """One number between ``low`` and ``high``, uniform in its logarithm."""
    return float(low * (high / low) ** random.random())
