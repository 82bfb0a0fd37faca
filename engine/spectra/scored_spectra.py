"""Products of blocks: scores of all spectra, the selected spectra, explanations of the outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.spectra.rows import Rows


@dataclass(frozen=True)
class ScoredSpectra:
    """The score block's n spectra; every float is NaN where the row's status is not SCORED.

    Attributes
    ----------
    rows : columns, with the final status.
    source : n strings, URL of each row's source file.
    model : (n,) int8, place in the run's models of the one that the row was given to; -1 for none.
    latents : (n, S) float32; NaN beyond those of the row's model.
    score : (n,) float32, the higher the odder.
    tail_probability, tail_uncertainty : (n,) float32, see :class:`models.calibration.calibration.Tail`.
    reconstruction : (n, R) float32, the reconstruction scores in the model's order of names.
    normalisation : (n,) float32, the median flux the spectrum was divided by, 1e-17 erg/(s cm2 A).
    outlier : (n,) bool, tail probability at or below the run's threshold.
    """

    rows: Rows
    source: tuple[str, ...]
    model: NDArray[np.int8]
    latents: NDArray[np.float32]
    score: NDArray[np.float32]
    tail_probability: NDArray[np.float32]
    tail_uncertainty: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    normalisation: NDArray[np.float32]
    outlier: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class SelectedSpectra:
    """n outliers as they were scored: kept between their score block and their attribution block.

    Attributes
    ----------
    row : (n,) int64 store rows, ascending.
    redshift : (n,) float64.
    flux : (n, N) float32, divided by the normalisation.
    ivar : (n, N) float32, of the divided flux; 0 where masked.
    model : (n,) int8, place in the run's models of the one that scored it, and will explain it.
    """

    row: NDArray[np.int64]
    redshift: NDArray[np.float64]
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    model: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: NDArray[Any] | slice) -> SelectedSpectra:
        """The spectra at ``index`` (integers, booleans or a slice)."""
        return SelectedSpectra(**{each.name: getattr(self, each.name)[index] for each in fields(self)})

    @classmethod
    def concatenate(cls, pixels: int, parts: Sequence[SelectedSpectra]) -> SelectedSpectra:
        """All spectra of ``parts`` in order; those of no parts have ``pixels``."""
        nothing = cls(
            np.empty(0, np.int64),
            np.empty(0, np.float64),
            np.empty((0, pixels), np.float32),
            np.empty((0, pixels), np.float32),
            np.empty(0, np.int8),
        )
        return cls(
            **{
                each.name: np.concatenate([getattr(part, each.name) for part in (nothing, *parts)])
                for each in fields(cls)
            }
        )
