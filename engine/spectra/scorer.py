"""Scoring: normalised spectra through the model, as many as are given at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.spectra.normalisation import NormalisedSpectra
from models.reconstruction_scores import ReconstructedSpectra, reconstruction_scores
from models.signal_to_noise import signal_to_noise
from models.spectrum_model import SpectrumModel


@dataclass(frozen=True)
class Scores:
    """What the model says of n spectra.

    Attributes
    ----------
    latents : (n, S) float32.
    score : (n,) float32, the higher the odder.
    tail_probability, tail_uncertainty : (n,) float32, see :class:`models.calibration.calibration.Tail`; NaN
        where the score is not finite.
    reconstruction : (n, R) float32, in the order of ``RECONSTRUCTION_SCORES``.
    finite : (n,) bool, whether latents and score are.
    """

    latents: NDArray[np.float32]
    score: NDArray[np.float32]
    tail_probability: NDArray[np.float32]
    tail_uncertainty: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    finite: NDArray[np.bool_]


class Scorer:
    """A scoring model on a device."""

    def __init__(self, model: SpectrumModel, device: str = "cpu") -> None:
        self._model = model.to(device)
        self._device = torch.device(device)
        self._wavelength = device_tensor(model.card.grid.wavelength(), self._device)

    def score(self, spectra: NormalisedSpectra, chosen: NDArray[np.int64]) -> Scores:
        """Scores of the rows ``chosen``, which must be scorable, in one batch."""
        flux, ivar, good, redshift = (
            device_tensor(values[chosen], self._device)
            for values in (spectra.flux, spectra.ivar, spectra.good, spectra.rows["redshift"])
        )
        with torch.inference_mode():
            outputs = self._model.outputs(flux, ivar, redshift)
            score = as_float32(outputs.score)
            reconstructed = ReconstructedSpectra(
                flux, ivar, good, outputs.reconstruction, redshift, self._wavelength
            )
            reconstruction = reconstruction_scores(reconstructed)
            snr = signal_to_noise(flux, ivar)
        values = as_float32(outputs.latents)
        # The tail is read off the score as stored, so that the two can never disagree.
        tail = self._model.tail(score, snr, spectra.rows["redshift"][chosen])
        finite = np.isfinite(score) & np.isfinite(values).all(axis=1)
        return Scores(
            values,
            score,
            tail.probability,
            tail.relative_uncertainty,
            as_float32(reconstruction),
            finite,
        )


def device_tensor(values: NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """A copy in torch's own memory.

    NumPy's may be aligned differently from one process to the next, and vectorised kernels round
    differently at unaligned ends: the same block would not give the same bytes everywhere.
    """
    return torch.tensor(values, device=device)


def as_float32(values: torch.Tensor) -> NDArray[np.float32]:
    """The values as a NumPy array in main memory."""
    return np.asarray(values.to(torch.float32).cpu().numpy())
