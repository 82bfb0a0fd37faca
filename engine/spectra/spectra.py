"""Spectra: what a reader returns and everything after it consumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.spectra.rows import Rows
from models.grid import WavelengthGrid


@dataclass(frozen=True)
class Spectra:
    """n spectra on one grid, arms coadded, as the survey calibrated them.

    Attributes
    ----------
    grid : the wavelength grid, vacuum Angstrom.
    flux : (n, grid.size) float32, 1e-17 erg / (s cm2 Angstrom); 0 where ``ivar`` is 0.
    ivar : (n, grid.size) float32, inverse variance of ``flux``; 0 where masked, never negative,
        always finite.
    rows : the n rows' columns; ``status`` is SCORED for rows that may be scored, else the reason
        known at reading (sky fibre, no redshift, ...).
    """

    grid: WavelengthGrid
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    rows: Rows

    def __post_init__(self) -> None:
        shape = (len(self.rows), self.grid.size)
        if self.flux.shape != shape or self.ivar.shape != shape:
            raise ValueError(f"flux {self.flux.shape} and ivar {self.ivar.shape} must be {shape}")

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[Any] | slice) -> Spectra:
        """The spectra at ``index`` (integers, booleans or a slice)."""
        return Spectra(self.grid, self.flux[index], self.ivar[index], self.rows.take(index))

    @classmethod
    def concatenate(cls, grid: WavelengthGrid, parts: list[Spectra]) -> Spectra:
        """All spectra of ``parts`` in order; every part must be on ``grid``."""
        if not parts:
            nothing = np.zeros((0, grid.size), dtype=np.float32)
            return cls(grid, nothing, nothing.copy(), Rows.empty(0))
        return cls(
            grid,
            np.concatenate([part.flux for part in parts]),
            np.concatenate([part.ivar for part in parts]),
            Rows.concatenate([part.rows for part in parts]),
        )
