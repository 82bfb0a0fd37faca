"""Explanations: the maps of selected spectra, from the worker to the store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.spectra.scored_spectra import SelectedSpectra


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
    signatures : (n,) uint16, failure signatures as bits of :class:`engine.attribution.signatures.Signature`.
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

    @classmethod
    def unknown(cls, selected: SelectedSpectra, windows: int) -> Explanations:
        """Of spectra that are not explained (yet): NaN throughout, window 0 and no signature."""
        count, pixels = selected.flux.shape

        def nothing(*shape: int) -> NDArray[np.float32]:
            return np.full((count, *shape), np.nan, dtype=np.float32)

        return cls(
            selected=selected,
            baseline=nothing(pixels),
            maps=nothing(windows, pixels),
            spread=nothing(windows, pixels),
            combined=nothing(pixels),
            log_prob=nothing(),
            baseline_log_prob=nothing(),
            peak_wavelength=np.full(count, np.nan, dtype=np.float64),
            peak_window=np.zeros(count, dtype=np.int32),
            signatures=np.zeros(count, dtype=np.uint16),
        )
