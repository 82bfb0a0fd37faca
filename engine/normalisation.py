"""Normalisation: from calibrated flux to what the scoring model takes, row by row, losing none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.rows import Rows
from engine.spectra import Spectra
from models.errors import ConfigurationError
from models.model_card import ModelCard
from models.row_status import RowStatus

_MIN_WINDOW_PIXELS = 20
"""Fewer good pixels than this in the normalisation window make its median meaningless."""


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
            kind="grid-mismatch",
        )
    data = spectra.rows.data.copy()
    good = spectra.ivar > 0
    redshift = data["redshift"]
    rest = card.grid.wavelength()[None] / (1.0 + np.nan_to_num(redshift, nan=0.0))[:, None]
    window = good & (rest >= card.normalisation_min) & (rest <= card.normalisation_max)
    median = _masked_median(spectra.flux, window)

    def refuse(which: Any, status: RowStatus) -> None:
        data["status"][which & (data["status"] == RowStatus.SCORED)] = status

    if classes:
        refuse(~np.isin(data["spectype"], classes), RowStatus.CLASS_NOT_MODELLED)
    refuse(~np.isfinite(redshift), RowStatus.NO_REDSHIFT)
    refuse((redshift < card.redshift_min) | (redshift > card.redshift_max), RowStatus.REDSHIFT_OUT_OF_RANGE)
    refuse(~good.any(axis=1), RowStatus.NO_GOOD_PIXELS)
    refuse(good.mean(axis=1) < card.min_good_fraction, RowStatus.TOO_FEW_GOOD_PIXELS)
    refuse(window.sum(axis=1) < _MIN_WINDOW_PIXELS, RowStatus.TOO_FEW_GOOD_PIXELS)
    refuse(~(median > 0), RowStatus.NON_POSITIVE_NORMALISATION)

    scorable = data["status"] == RowStatus.SCORED
    norm = np.where(scorable, median, np.nan).astype(np.float32)
    divisor = np.where(scorable, median, 1.0).astype(np.float32)[:, None]
    keep = good & scorable[:, None]
    flux = np.where(keep, spectra.flux / divisor, np.float32(0))
    ivar = np.where(keep, spectra.ivar * divisor**2, np.float32(0))
    return NormalisedSpectra(Rows(data), flux, ivar, keep, norm)


def _masked_median(flux: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Median over the last axis of the pixels in ``mask``; NaN where there are none."""
    columns = np.flatnonzero(mask.any(axis=0))
    if not len(columns):
        return np.full(len(flux), np.nan, dtype=np.float32)
    part = slice(columns[0], columns[-1] + 1)
    ordered = np.sort(np.where(mask[:, part], flux[:, part], np.inf), axis=1)
    count = mask.sum(axis=1)
    index = np.arange(len(flux))
    low, high = (
        ordered[index, np.maximum(count - 1, 0) // 2],
        ordered[index, np.minimum(count // 2, ordered.shape[1] - 1)],
    )
    # Halve before adding: two large float32 values must not overflow.
    return np.where(count > 0, 0.5 * low + 0.5 * high, np.nan).astype(np.float32)
