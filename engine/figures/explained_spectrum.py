"""One explained spectrum, from a store or from a single file, as the figure takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.attribution.peak_filter import line_at_peak
from engine.attribution.signatures import NOTHING, Signature
from models.grid import WavelengthGrid


@dataclass(frozen=True)
class ExplainedSpectrum:
    """A spectrum with its explanation. N pixels of ``grid``, W windows.

    Attributes
    ----------
    key : spectrum key, for the title.
    redshift : of the survey's pipeline.
    spectype : spectral class; empty if unknown.
    score, tail_probability : how odd it is; NaN if unknown.
    grid : wavelength grid.
    flux : (N,) as scored, i.e. divided by its median.
    ivar : (N,) of ``flux``; 0 where masked.
    baseline : (N,) mean of the baselines at its redshift.
    windows : W window widths in pixels.
    maps : (W, N) attribution per window in nat, positive makes the spectrum odd.
    combined : (N,) combined attribution in nat.
    peak_wavelength : observed Angstrom, where ``combined`` is largest; NaN if nowhere.
    peak_window : window in pixels that contributes most there; 0 if none.
    signatures : failure signatures of the explanation.
    """

    key: str
    redshift: float
    spectype: str
    score: float
    tail_probability: float
    grid: WavelengthGrid
    flux: NDArray[np.floating]
    ivar: NDArray[np.floating]
    baseline: NDArray[np.floating]
    windows: tuple[int, ...]
    maps: NDArray[np.floating]
    combined: NDArray[np.floating]
    peak_wavelength: float
    peak_window: int
    signatures: Signature = NOTHING

    def __post_init__(self) -> None:
        pixels = (self.grid.size,)
        shapes = {name: getattr(self, name).shape for name in ("flux", "ivar", "baseline", "combined")}
        wrong = [f"{name} {shape}" for name, shape in shapes.items() if shape != pixels]
        if self.maps.shape != (len(self.windows), *pixels):
            wrong.append(f"maps {self.maps.shape} for {len(self.windows)} windows")
        if wrong:
            raise ValueError(f"Not on a grid of {self.grid.size} pixels: {', '.join(wrong)}")

    @property
    def peak_rest_wavelength(self) -> float:
        """Rest-frame Angstrom of the peak; NaN if there is none or no redshift."""
        return self.peak_wavelength / (1.0 + self.redshift)

    @property
    def peak_line(self) -> str:
        """Name of the line at the peak, see :func:`engine.attribution.peak_filter.line_at_peak`."""
        width = self.grid.width(self.peak_wavelength, self.peak_window)
        return line_at_peak(self.peak_rest_wavelength, float(width))
