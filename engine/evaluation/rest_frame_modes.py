"""Rest-frame modes: a weighted principal component analysis of spectra at many redshifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from models.model_card import ModelCard

Floats = NDArray[np.floating]

_CALIBRATION_ERROR = 0.05
"""Error besides the noise, as a share of the usual flux: bright spectra must not choose all modes."""
_ROUNDS = 6
_RIDGE = 1e-4


@dataclass(frozen=True)
class RestFrame:
    """A grid of rest wavelengths, that of a model's card.

    Attributes
    ----------
    card : of the model.
    """

    card: ModelCard

    def sampled(self, values: Floats, known: NDArray[np.bool_], redshift: float) -> tuple[Floats, Floats]:
        """Observed ``values`` (N,) at rest (P,), and whether they are known there, 0 or 1; both float32."""
        card = self.card
        rest = np.power(10.0, card.rest_start + card.rest_step * np.arange(card.rest_size))
        place = card.grid.pixel(np.asarray(rest * (1 + redshift), np.float64))
        low = np.clip(np.floor(place).astype(np.int64), 0, card.grid.size - 2)
        part = (place - low).astype(np.float32)
        there = known[low] & known[low + 1] & (part >= 0) & (part <= 1)
        found = values[low] * (1 - part) + values[low + 1] * part
        return np.where(there, found, 0).astype(np.float32), there.astype(np.float32)

    def observed(self, values: Floats, redshift: float) -> Floats:
        """Values at rest (P, K) on the observed grid, (N, K) float32."""
        card = self.card
        place = (np.log10(card.grid.wavelength() / (1 + redshift)) - card.rest_start) / card.rest_step
        low = np.clip(np.floor(place).astype(np.int64), 0, card.rest_size - 2)
        part = np.clip(place - low, 0, 1).astype(np.float32)[:, None]
        found: Floats = values[low] * (1 - part) + values[low + 1] * part
        return found


@dataclass(frozen=True)
class RestFrameModes:
    """Modes of spectra in their rest frame, and the fit of spectra by them.

    Attributes
    ----------
    frame : where they are sampled.
    modes : (P, K) float32, orthonormal, the one that varies most first.
    """

    frame: RestFrame
    modes: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        frame: RestFrame,
        flux: NDArray[np.float32],
        ivar: NDArray[np.float32],
        redshift: NDArray[np.float64],
        count: int,
        seed: int,
    ) -> RestFrameModes:
        """Of n normalised spectra (n, N): coefficients and modes by turns, each by weighted least squares.

        (Expectation maximisation: Bailey 2012, PASP 124, 1015.)
        """
        pairs = [frame.sampled(f, i > 0, z) for f, i, z in zip(flux, ivar, redshift.tolist(), strict=True)]
        values = np.stack([each for each, _ in pairs])
        weight = np.stack(
            [
                known * frame.sampled(i / (1 + i * np.float32(_CALIBRATION_ERROR**2)), i > 0, z)[0]
                for (_, known), i, z in zip(pairs, ivar, redshift.tolist(), strict=True)
            ]
        )
        modes = main_modes(values, weight > 0, count, seed)[1].T
        for _ in range(_ROUNDS):
            coefficients = _solved(weight, values, modes)
            modes = _solved(weight.T, values.T, coefficients)
            # Orthonormal modes with uncorrelated coefficients, so that nothing grows from round to round.
            basis, inner = np.linalg.qr(modes.astype(np.float64))
            turned = np.linalg.svd(coefficients @ inner.T, full_matrices=False)[2]
            modes = (basis @ turned.T).astype(np.float32)
        return cls(frame, modes)

    def fitted(self, flux: Floats, ivar: Floats, redshift: float) -> tuple[Floats, Floats]:
        """Coefficients (K,) and reconstruction (N,) of one spectrum (N,), by least squares."""
        modes = self.frame.observed(self.modes, redshift)
        coefficients = _solved(ivar[None], flux[None], modes)[0]
        return coefficients, modes @ coefficients


def main_modes(
    values: Floats, known: NDArray[np.bool_], count: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coefficients (n, count) and orthonormal modes (count, P) of ``values`` (n, P).

    The modes themselves fill what is not known.
    """
    number = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, values, (values * known).sum(axis=0) / number).astype(np.float32)
    for round_ in range(_ROUNDS):
        left, size, modes = randomized_svd(filled, count, n_iter=2, random_state=seed % 2**32)
        if round_ + 1 < _ROUNDS:
            filled = np.where(known, values, (left * size) @ modes).astype(np.float32)
    return np.asarray(left * size, np.float32), np.asarray(modes, np.float32)


def _solved(weight: Floats, values: Floats, basis: Floats) -> Floats:
    """Least-squares coefficients (n, K) of values (n, P) with weights (n, P) in a basis (P, K), float32."""
    count = basis.shape[1]
    if len(weight) == 1:
        weighted = basis * weight[0][:, None]
        normal, right = (weighted.T @ basis)[None], (values[0] @ weighted)[None]
    else:
        products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
        normal = (weight @ products).reshape(-1, count, count)
        right = (weight * values) @ basis
    normal = normal.astype(np.float64)
    ridge = _RIDGE * np.trace(normal, axis1=1, axis2=2) / count + 1e-12
    normal += ridge[:, None, None] * np.eye(count)
    return np.asarray(np.linalg.solve(normal, right[..., None].astype(np.float64))[..., 0], np.float32)
