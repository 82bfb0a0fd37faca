"""Gradients of the score: times the flux, or integrated along paths from baselines.

All maps are (N,) float64, positive where a pixel makes the spectrum odd, 0 at masked pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.subject import Subject

PATH_STEPS = 16
"""Points on every path of integrated gradients, in the middle of equal steps."""


def gradient_times_input(subject: Subject) -> NDArray[np.float64]:
    """Gradient of the score times the flux."""
    flux = subject.flux.double()
    return _masked(subject, _score_gradients(subject, flux[None])[0] * flux)


def integrated_gradients(subject: Subject, baselines: Tensor) -> NDArray[np.float64]:
    """Mean over ``baselines`` (M, N) of the gradients of the score along the straight path, times the way.

    Summed over pixels it is the score less the baselines' mean score, but for the steps' coarseness.
    """
    flux = subject.flux.double()
    middle = (torch.arange(PATH_STEPS, dtype=torch.float64) + 0.5) / PATH_STEPS
    total = torch.zeros_like(flux)
    for baseline in baselines.double():
        # Masked pixels stay as the spectrum has them: the model does not see them anyway.
        way = torch.where(subject.good, flux - baseline, 0.0)
        points = flux - (1 - middle[:, None]) * way
        total += way * _score_gradients(subject, points).mean(dim=0)
    return _masked(subject, total / len(baselines))


def _score_gradients(subject: Subject, spectra: Tensor) -> Tensor:
    """Gradients (B, N) of minus log p at ``spectra`` (B, N)."""
    with torch.enable_grad():
        point = spectra.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(-subject.log_prob(point).sum(), point)
    return slope


def _masked(subject: Subject, values: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = torch.where(subject.good, values, 0.0).numpy()
    return found
