"""Approaches to occlusion, ready to run, and the search for their best batch."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flows.bench.timing import seconds_of
from models.spectrum_model import LogProb

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_LARGE_SIZES = (256, 512, 1024)
_TRIALS = 5


@dataclass(frozen=True, eq=False)
class Approach:
    """One way to occlude, on a sample of windows or on all.

    Attributes
    ----------
    name : short and unique.
    what : the model and how it is run.
    batch : spectra per call of the model; None where it is not called.
    budget_bytes : the memory it plans for; None if it plans none.
    run : does the work once and returns how many forward passes that were; None where they are not
        what it costs, and the work is the whole explanation.
    """

    name: str
    what: str
    batch: int | None
    budget_bytes: int | None
    run: Callable[[], int | None]


@dataclass(frozen=True)
class Skipped:
    """An approach that was not measured.

    Attributes
    ----------
    approach : its name.
    reason, remedy : why, and what to do about it.
    """

    approach: str
    reason: str
    remedy: str


class CountedForwards:
    """A model that counts the spectra it is given."""

    def __init__(self, log_prob: LogProb) -> None:
        self._log_prob = log_prob
        self.count = 0

    def __call__(self, spectra: Tensor) -> Tensor:
        """Spectra (B, N) to (B,)."""
        self.count += len(spectra)
        return self._log_prob(spectra)


@dataclass(frozen=True)
class TriedBatch:
    """A batch size that was tried: ``batch`` spectra at a time, ``seconds`` for each of them."""

    batch: int
    seconds: float


def try_batches(
    work: Callable[[int], Callable[[], object]], forwards: Callable[[int], int], device: torch.device
) -> tuple[TriedBatch, ...]:
    """Seconds per forward of the quickest of some runs at each batch that memory allows.

    Parameters
    ----------
    work : batch to what is timed with it.
    forwards : batch to how many forward passes that are.
    """
    works: dict[int, Callable[[], object]] = {}
    for size in _SIZES if device.type == "cpu" else (*_SIZES, *_LARGE_SIZES):
        try:
            one = work(size)
            seconds_of(one, device)
        except torch.OutOfMemoryError:
            break
        works[size] = one
    quickest = dict.fromkeys(works, math.inf)
    # In turn, so that a slow second of the machine does not decide.
    for _ in range(_TRIALS):
        for size, one in works.items():
            quickest[size] = min(quickest[size], seconds_of(one, device))
    return tuple(TriedBatch(size, seconds / forwards(size)) for size, seconds in quickest.items())


def best_batches(tried: tuple[TriedBatch, ...], count: int = 1) -> list[int]:
    """The ``count`` batches that took least per forward, best first."""
    return [one.batch for one in sorted(tried, key=lambda one: one.seconds)[:count]]


def optional_module(approach: str, module: str) -> Any | Skipped:
    """A module of a package that only the benchmark needs, or why it cannot be had."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        return Skipped(
            approach,
            f"{module.partition('.')[0]} cannot be imported: {error}",
            "pip install 'whyspec[bench]'",
        )
