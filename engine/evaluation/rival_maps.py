"""What an explanation must beat: residuals, chance, gradients, and occlusion as it is usually done.

All maps are (N,) float64, positive where a pixel makes the spectrum odd, 0 at masked pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.evaluation.subject import Subject, effects_of
from engine.occlusion.combine import PRESETS, scale_map
from engine.occlusion.settings import OcclusionSettings

PATH_STEPS = 16
"""Points on every path of integrated gradients, in the middle of equal steps."""


def residual_map(subject: Subject, width: int) -> NDArray[np.float64]:
    """Significance of the mean residual in the window around each pixel: |sum r ivar| / sqrt(sum ivar).

    With ``width`` 1 the residual in units of its noise. No model is asked beyond one reconstruction.
    """
    ivar = subject.ivar.numpy()
    residual = (subject.flux.double() - subject.reconstruction).numpy()
    weighted, weight = _windowed(residual * ivar, width), _windowed(ivar, width)
    found = np.divide(np.abs(weighted), np.sqrt(weight), out=np.zeros_like(ivar), where=weight > 0)
    return np.where(subject.good.numpy(), found, 0.0)


def random_map(subject: Subject, seed: int) -> NDArray[np.float64]:
    """Independent numbers from 0 to 1."""
    values = np.random.Generator(np.random.PCG64(seed)).random(len(subject.flux))
    return np.where(subject.good.numpy(), values, 0.0)


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


def plain_occlusion(
    subject: Subject, replacement: Tensor, widths: tuple[int, ...], memory_bytes: int
) -> NDArray[np.float64]:
    """How much less odd the spectrum is without the window around each pixel, (W, N).

    Parameters
    ----------
    replacement : (N,) what takes the window's place.
    widths : of the windows in pixels; they are laid as :func:`engine.occlusion.windows.spaced_scales` does.
    """
    # The same passes as inverse occlusion, with the roles changed: pieces of the replacement are pasted
    # into the spectrum.
    turned = Subject(
        torch.where(subject.good, replacement.to(subject.flux.dtype), subject.flux),
        subject.ivar,
        subject.redshift,
        subject.log_prob,
        subject.reconstruction,
    )
    settings = OcclusionSettings("nearest", widths, baselines=1)
    effects = effects_of(turned, subject.flux[None], settings, memory_bytes)
    preset = PRESETS["paper"]
    pairs = zip(effects.scales, effects.differences, strict=True)
    return np.stack([-scale_map(preset, scale, part)[0] for scale, part in pairs])


def _score_gradients(subject: Subject, spectra: Tensor) -> Tensor:
    """Gradients (B, N) of minus log p at ``spectra`` (B, N)."""
    with torch.enable_grad():
        point = spectra.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(-subject.log_prob(point).sum(), point)
    return slope


def _masked(subject: Subject, values: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = torch.where(subject.good, values, 0.0).numpy()
    return found


def _windowed(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Sums over the windows that :func:`engine.occlusion.windows.centred_scales` lays."""
    before = np.concatenate(([0.0], np.cumsum(values)))
    start = np.arange(len(values)) - width // 2
    stop = np.minimum(start + width, len(values))
    found: NDArray[np.float64] = before[stop] - before[np.maximum(start, 0)]
    return found
