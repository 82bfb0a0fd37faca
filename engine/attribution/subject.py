"""One spectrum to be explained, with all that any method of attribution may ask of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.occlusion.attribution import WindowEffects, window_effects
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.seams import occluder_of
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.spectra.scorer import device_tensor
from models.spectrum_model import LogProb, SpectrumModel


@dataclass(frozen=True, eq=False)
class Subject:
    """One spectrum to be explained.

    Attributes
    ----------
    flux : (N,) float32, as the model is given it.
    ivar : (N,) float64; 0 where masked.
    redshift : of the spectrum.
    log_prob : the model as a function of flux alone.
    reconstruction : (N,) float64, what the model sees in the spectrum.
    """

    flux: Tensor
    ivar: Tensor
    redshift: float
    log_prob: LogProb
    reconstruction: Tensor

    @property
    def good(self) -> Tensor:
        """(N,) bool, pixels that carry evidence."""
        return self.ivar > 0


def subject_of(
    model: SpectrumModel, flux: NDArray[np.float32], ivar: NDArray[np.float32], redshift: float
) -> Subject:
    """A spectrum, and ``model`` (in float64) told its inverse variance and redshift.

    Parameters
    ----------
    flux, ivar : (N,) as scored.
    """
    cpu = torch.device("cpu")
    tensor, weight = device_tensor(flux, cpu), device_tensor(ivar, cpu).double()
    with torch.no_grad():
        at = torch.tensor([redshift], dtype=torch.float64)
        outputs = model.outputs(tensor.double()[None], weight[None], at)
        return Subject(
            tensor, weight, redshift, model.conditioned(weight, redshift), outputs.reconstruction[0]
        )


def effects_of(
    subject: Subject, baselines: Tensor, settings: OcclusionSettings, memory_bytes: int
) -> WindowEffects:
    """Inverse multiscale occlusion of a subject into ``baselines`` (M, N), as a run does it."""
    request = OcclusionRequest(subject.flux, baselines.to(subject.flux.dtype), subject.good)
    occluder = occluder_of(subject.log_prob, memory_bytes)
    with torch.no_grad():
        return window_effects(
            occluder,
            lambda spectra: subject.log_prob(spectra.double()),
            request,
            settings,
        )
