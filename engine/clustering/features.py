"""Features that are clustered: the shape, in the rest frame, of what makes each spectrum odd."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.clustering.rest_frame import RestGrid, rebin
from models.grid import WavelengthGrid

OBSERVED_SHARE = 0.5
"""A bin counts as observed where good pixels cover at least this share of it."""

_BATCH = 128


def explanation_features(
    combined: NDArray[np.floating],
    good: NDArray[np.bool_],
    redshift: NDArray[np.float64],
    grid: WavelengthGrid,
    rest: RestGrid,
) -> NDArray[np.float32]:
    """Features of n explanations: positive attribution per rest-frame bin, scaled to length one.

    Only the positive part is used. Negative attribution marks pieces that are *more* usual than
    the baseline's; they do not explain why a spectrum was selected, and taking the modulus, as has
    been done, lets two opposite findings count as alike. Whether the flux is above or below the
    baseline at a peak is stated per cluster instead (``engine.clustering.peaks``).

    Bins are smoothed by (1, 2, 1) / 4 over the observed ones. Without it a line at the border of
    two bins falls in one or the other and such halves become clusters of their own.

    Parameters
    ----------
    combined : (n, N) attribution, positive makes the spectrum odd.
    good : (n, N), pixels that carry information (``ivar > 0``).
    redshift : (n,).

    Returns
    -------
    (n, B) float32: NaN in unobserved bins, otherwise at least 0. Rows have length one, except rows
    without positive attribution, which are 0, and rows with a non-finite attribution or redshift,
    which are NaN throughout.
    """
    features = np.full((len(combined), rest.size), np.nan, dtype=np.float32)
    for start in range(0, len(combined), _BATCH):
        part = slice(start, start + _BATCH)
        features[part] = _batch_features(combined[part], good[part], redshift[part], grid, rest)
    return features


def _batch_features(
    combined: NDArray[np.floating],
    good: NDArray[np.bool_],
    redshift: NDArray[np.float64],
    grid: WavelengthGrid,
    rest: RestGrid,
) -> NDArray[np.float64]:
    finite = np.isfinite(combined).all(axis=1)
    positive = np.clip(np.where(finite[:, None], combined, 0.0), 0.0, None)
    mean, coverage = rebin(positive, good & finite[:, None], redshift, grid, rest)
    observed = coverage >= OBSERVED_SHARE
    smooth = _smooth(np.where(observed, np.clip(mean, 0.0, None), 0.0))
    smooth /= np.maximum(_smooth(observed.astype(np.float64)), 0.25)
    smooth = np.where(observed, smooth, 0.0)
    length = np.sqrt(np.square(smooth).sum(axis=1, keepdims=True))
    return np.where(observed, smooth / np.where(length > 0.0, length, 1.0), np.nan)


def _smooth(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(rows, ((0, 0), (1, 1)))
    return np.asarray((padded[:, :-2] + 2.0 * padded[:, 1:-1] + padded[:, 2:]) / 4.0)


def has_shape(features: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(n,) bool: rows with some positive attribution in an observed bin; only these can be clustered."""
    return np.asarray(np.nansum(features, axis=1) > 0.0)
