"""Training spectra: normalised, in memory or not, in three splits and in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.errors import ConfigurationError, ErrorKind

_Found = TypeVar("_Found")

Batch = tuple[Tensor, Tensor, Tensor]
"""Flux and ivar (batch, N) and redshift (batch,)."""


@dataclass(frozen=True)
class TrainingSpectra:
    """n normalised spectra: flux and ivar (n, N) float32, ivar 0 where masked; redshift (n,)."""

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    redshift: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.flux)

    def take(self, index: NDArray[Any]) -> TrainingSpectra:
        """The spectra at ``index``."""
        return TrainingSpectra(self.flux[index], self.ivar[index], self.redshift[index])


class SpectraSource(Protocol):
    """n normalised spectra, in memory or not."""

    def __len__(self) -> int:
        """Number of spectra."""
        ...

    def take(self, index: NDArray[Any]) -> TrainingSpectra:
        """The spectra at ``index``, (k,) ascending."""
        ...


@dataclass(frozen=True)
class ChosenSpectra:
    """Some spectra of a source, those at ``rows`` (k,), ascending."""

    source: SpectraSource
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[Any]) -> TrainingSpectra:
        """The spectra at ``index`` among the chosen."""
        return self.source.take(self.rows[index])


@dataclass(frozen=True)
class TrainingSplit:
    """Spectra to train on, to stop by, and to calibrate on; no object is in two splits."""

    training: SpectraSource
    validation: SpectraSource
    calibration: SpectraSource

    def counts(self, batch: int) -> dict[str, int]:
        """Number of spectra in each split, by name.

        Raises
        ------
        ConfigurationError : fewer than a ``batch`` for training, or than eight in another split.
        """
        counts = {
            "training": len(self.training),
            "validation": len(self.validation),
            "calibration": len(self.calibration),
        }
        if counts["training"] < batch or min(counts["validation"], counts["calibration"]) < 8:
            raise ConfigurationError(
                "Too few spectra to train on.",
                got=", ".join(f"{count} for {name}" for name, count in counts.items()),
                allowed=f"at least a batch of {batch} for training, 8 each for the others",
                remedy="Give more spectra, or a smaller batch.",
                kind=ErrorKind.TOO_FEW_SPECTRA,
            )
        return counts

    def __len__(self) -> int:
        """Number of spectra in all splits."""
        return len(self.training) + len(self.validation) + len(self.calibration)


def batch_of(spectra: SpectraSource, index: NDArray[Any]) -> Batch:
    """The spectra at ``index``, (k,) ascending, as tensors."""
    some = spectra.take(index)
    return torch.from_numpy(some.flux), torch.from_numpy(some.ivar), torch.from_numpy(some.redshift)


def chunks(count: int, size: int = 256) -> list[NDArray[Any]]:
    """Indices 0 to ``count``, some at a time."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]


def in_threads(
    work: Callable[[NDArray[Any]], _Found], pieces: Sequence[NDArray[Any]], threads: int
) -> list[_Found]:
    """What ``work`` makes of every piece, in their order, however many ``threads`` work at once."""
    # Spectra are searched one by one by many small operations, which torch's own threads do not share.
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(torch.no_grad()(work), pieces))
