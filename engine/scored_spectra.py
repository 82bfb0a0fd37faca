"""What blocks produce: scores of all spectra, the selected spectra, explanations of the outliers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.rows import Rows


@dataclass(frozen=True)
class ScoredSpectra:
    """The score block's n spectra; every float is NaN where the row's status is not SCORED.

    Attributes
    ----------
    rows : columns, with the final status.
    source : n strings, URL of each row's source file.
    latents : (n, S) float32.
    score : (n,) float32, minus the natural log of the latents' density.
    tail_probability : (n,) float32, see ``models.calibration``.
    reconstruction : (n, R) float32, the reconstruction scores in the model's order of names.
    normalisation : (n,) float32, the median flux the spectrum was divided by, 1e-17 erg/(s cm2 A).
    outlier : (n,) bool, tail probability at or below the run's threshold.
    """

    rows: Rows
    source: tuple[str, ...]
    latents: NDArray[np.float32]
    score: NDArray[np.float32]
    tail_probability: NDArray[np.float32]
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
    """

    row: NDArray[np.int64]
    redshift: NDArray[np.float64]
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Explanations:
    """n explained outliers, W windows, N pixels.

    Attributes
    ----------
    selected : the spectra as scored.
    baseline : (n, N) float32, mean of the baselines at the spectrum's redshift.
    maps : (n, W, N) float32, attribution per window: positive makes the spectrum odd.
    spread : (n, W, N) float32, standard deviation of each map over the baselines.
    combined : (n, N) float32, the windows' maps weighted by their spread.
    log_prob : (n,) float32, of the spectrum; baseline_log_prob : (n,) float32, mean of the baselines.
    peak_wavelength : (n,) float64, observed Angstrom, where ``combined`` is largest.
    peak_window : (n,) int32, window in pixels that contributes most there.
    signatures : (n,) uint16, failure signatures as bits of :class:`engine.signatures.Signature`.
    """

    selected: SelectedSpectra
    baseline: NDArray[np.float32]
    maps: NDArray[np.float32]
    spread: NDArray[np.float32]
    combined: NDArray[np.float32]
    log_prob: NDArray[np.float32]
    baseline_log_prob: NDArray[np.float32]
    peak_wavelength: NDArray[np.float64]
    peak_window: NDArray[np.int32]
    signatures: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.selected)
