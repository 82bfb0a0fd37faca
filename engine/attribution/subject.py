"""Subject of an attribution: one spectrum, and the model as functions of its flux."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.memory import DEFAULT_MEMORY
from engine.spectra.scorer import device_tensor
from models.spectrum_model import LogProb, SpectrumModel


class Decoder(Protocol):
    """What a model draws, at the inverse variance and redshift of one spectrum."""

    @property
    def calibration_size(self) -> int:
        """Number of calibration spectra."""
        ...

    def baselines(self, chosen: NDArray[np.int64]) -> Tensor:
        """Typical spectra: reconstructions of the ``chosen`` (M,) calibration spectra, (M, N) float64."""
        ...

    def reconstructions(self, spectra: Tensor) -> Tensor:
        """The noise-free spectra that the model sees in ``spectra``, (B, N) to (B, N), both float64."""
        ...


@dataclass(frozen=True, eq=False)
class Subject:
    """One spectrum to be explained, with all that a method may ask of the model. Nothing is computed unasked.

    Attributes
    ----------
    flux : (N,) float32, as scored; ivar : (N,) float64, 0 where masked. Both on the device of the work.
    redshift : of the spectrum.
    log_prob : minus the score as a function of flux alone, (B, N) float64 to (B,).
    decoder : what the model draws.
    memory_bytes : what a method may take; floats_per_pixel : numbers that ``log_prob`` holds at once for each
        pixel of each spectrum. Batches are planned from both.
    """

    flux: Tensor
    ivar: Tensor
    redshift: float
    log_prob: LogProb
    decoder: Decoder
    memory_bytes: int = DEFAULT_MEMORY
    floats_per_pixel: int = 256

    @property
    def good(self) -> Tensor:
        """(N,) bool, pixels that carry evidence."""
        return self.ivar > 0

    @cached_property
    def reconstruction(self) -> Tensor:
        """(N,) float64, what the model sees in the spectrum."""
        with torch.no_grad():
            return self.decoder.reconstructions(self.flux.double()[None])[0]

    def scores(self, spectra: Tensor) -> NDArray[np.float64]:
        """Of ``spectra`` (B, N) of any floating type, (B,)."""
        with torch.no_grad():
            found: NDArray[np.float64] = -self.log_prob(spectra.double()).double().cpu().numpy()
        return found

    def gradient(self, spectra: Tensor) -> Tensor:
        """Gradients of the score at ``spectra`` (B, N), likewise (B, N)."""
        with torch.enable_grad():
            point = spectra.detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad(-self.log_prob(point).sum(), point)
        return slope


def subject_of(
    model: SpectrumModel,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    redshift: float,
    *,
    device: torch.device | None = None,
    memory_bytes: int = DEFAULT_MEMORY,
) -> Subject:
    """A spectrum, and ``model`` given its inverse variance and redshift.

    Parameters
    ----------
    model : in float64, on ``device``.
    flux, ivar : (N,) as scored.
    device : of the work; None for the processor.
    memory_bytes : what a method may take.
    """
    device = device or torch.device("cpu")
    spectrum, weight = device_tensor(flux, device), device_tensor(ivar, device).double()
    with torch.no_grad():
        log_prob = model.conditioned(spectrum.double(), weight, redshift)
    return Subject(
        flux=spectrum,
        ivar=weight,
        redshift=redshift,
        log_prob=log_prob,
        decoder=_ModelDecoder(model, weight, redshift),
        memory_bytes=memory_bytes,
        floats_per_pixel=model.floats_per_pixel,
    )


@dataclass(frozen=True, eq=False)
class _ModelDecoder:
    model: SpectrumModel
    ivar: Tensor
    redshift: float

    @property
    def calibration_size(self) -> int:
        return self.model.calibration_size

    def baselines(self, chosen: NDArray[np.int64]) -> Tensor:
        with torch.no_grad():
            return self.model.baselines(self.redshift, chosen)

    def reconstructions(self, spectra: Tensor) -> Tensor:
        redshift = torch.full((len(spectra),), self.redshift, dtype=torch.float64, device=spectra.device)
        return self.model.reconstructed(spectra, self.ivar.expand_as(spectra), redshift)
