"""Normalisation: from calibrated flux to what the scoring model takes, row by row, losing none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.spectra.pixels import new_pair
from engine.spectra.rows import Rows
from engine.spectra.spectra import Spectra
from models.errors import ConfigurationError, ErrorKind
from models.model_card import MIN_WINDOW_PIXELS, ModelCard
from models.row_status import RowStatus


@dataclass(frozen=True)
class NormalisedSpectra:
    """n spectra ready to be scored.

    Attributes
    ----------
    rows : the spectra's columns with ``status`` set to the reason where one cannot be scored.
    flux : (n, N) float32, divided by ``normalisation``; 0 where not good.
    ivar : (n, N) float32, of the divided flux; 0 where not good.
    good : (n, N) bool, pixels that carry evidence.
    normalisation : (n,) float32, median flux in the model's rest-frame window; NaN where not scored.
    """

    rows: Rows
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    good: NDArray[np.bool_]
    normalisation: NDArray[np.float32]

    @property
    def scorable(self) -> NDArray[np.bool_]:
        """(n,) bool, rows that the model may score."""
        return np.asarray(self.rows["status"] == RowStatus.SCORED)


def normalise(spectra: Spectra, card: ModelCard, classes: tuple[str, ...]) -> NormalisedSpectra:
    """Divide each spectrum by its median in the card's rest-frame window and say which may be scored.

    Parameters
    ----------
    spectra : as read.
    card : of the scoring model: grid, window, redshift range, least share of good pixels.
    classes : spectral classes to score; empty for all.

    Raises
    ------
    ConfigurationError : spectra and model are on different grids.
    """
    if spectra.grid != card.grid:
        raise ConfigurationError(
            "Spectra and model are on different wavelength grids.",
            where=f"model {card.name}",
            got=f"spectra on {spectra.grid}",
            allowed=str(card.grid),
            remedy="Choose a model of the spectra's survey with --model.",
            kind=ErrorKind.GRID_MISMATCH,
        )
    data = spectra.rows.data.copy()
    good = spectra.ivar > 0
    redshift = data["redshift"]
    windows = _windows(card, np.nan_to_num(redshift, nan=0.0))
    counts = np.array([np.count_nonzero(row) for row in good], dtype=np.int64)
    inside = np.zeros(len(data), dtype=np.int64)
    median = np.full(len(data), np.nan, dtype=np.float32)
    for row, (first, stop) in enumerate(windows.tolist()):
        values = spectra.flux[row, first:stop][good[row, first:stop]]
        inside[row] = len(values)
        median[row] = _median(values)

    def refuse(which: Any, status: RowStatus) -> None:
        data["status"][which & (data["status"] == RowStatus.SCORED)] = status

    if classes:
        refuse(~np.isin(data["spectype"], classes), RowStatus.CLASS_NOT_MODELLED)
    refuse(~np.isfinite(redshift), RowStatus.NO_REDSHIFT)
    refuse((redshift < card.redshift_min) | (redshift > card.redshift_max), RowStatus.REDSHIFT_OUT_OF_RANGE)
    refuse(counts == 0, RowStatus.NO_GOOD_PIXELS)
    refuse(counts / card.grid.size < card.min_good_fraction, RowStatus.TOO_FEW_GOOD_PIXELS)
    refuse(inside < MIN_WINDOW_PIXELS, RowStatus.TOO_FEW_GOOD_PIXELS)
    refuse(~(median > 0), RowStatus.NON_POSITIVE_NORMALISATION)

    scorable = data["status"] == RowStatus.SCORED
    norm = np.where(scorable, median, np.nan).astype(np.float32)
    divisor = np.where(scorable, median, 1.0).astype(np.float32)[:, None]
    # Where a pixel is not good flux and ivar are 0, and stay 0.
    flux, ivar = new_pair(len(data), card.grid.size)
    with np.errstate(over="ignore"):
        np.divide(spectra.flux, divisor, out=flux)
        np.multiply(spectra.ivar, divisor**2, out=ivar)
    refuse(~(np.isfinite(flux).all(axis=1) & np.isfinite(ivar).all(axis=1)), RowStatus.NON_FINITE_SCORE)
    scorable = data["status"] == RowStatus.SCORED
    norm[~scorable] = np.nan
    flux[~scorable], ivar[~scorable], good[~scorable] = 0, 0, False
    return NormalisedSpectra(Rows(data), flux, ivar, good, norm)


def _windows(card: ModelCard, redshift: NDArray[np.float64]) -> NDArray[np.int64]:
    """First pixel, and pixel after the last, of the rest-frame window at each redshift; shape (n, 2).

    A pixel of wavelength w is inside if normalisation_min <= w / (1 + z) <= normalisation_max, to the last
    bit: a product places the ends to a pixel, and quotients around them decide.
    """
    wavelength = card.grid.wavelength()
    factor = 1.0 + redshift
    near = np.arange(-2, 3)
    ends = np.zeros((len(redshift), 2), dtype=np.int64)
    positive = factor > 0
    for column, limit in enumerate((card.normalisation_min, card.normalisation_max)):
        with np.errstate(over="ignore"):
            guess = np.searchsorted(wavelength, limit * factor[positive])
        place = np.clip(guess[:, None] + near, 0, len(wavelength) - 1)
        rest = wavelength[place] / factor[positive, None]
        before = rest < limit if column == 0 else rest <= limit
        # Rest wavelengths rise with the pixel: the end is behind the last that lies before it.
        ends[positive, column] = np.where(before, place + 1, 0).max(axis=1)
    return ends


def _median(values: NDArray[np.float32]) -> np.float32:
    """Median; NaN of nothing. The order of ``values`` is lost."""
    if not len(values):
        return np.float32(np.nan)
    half = len(values) // 2
    values.partition(half)
    low = values[half] if len(values) % 2 else values[:half].max()
    # Halve before adding: two large float32 values must not overflow.
    return np.float32(np.float32(0.5) * low + np.float32(0.5) * values[half])
