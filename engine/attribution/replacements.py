"""Replacements: what takes the place of the pixels that an occlusion removes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

Replacement = Literal["zero", "mean flux", "mean baseline", "noise", "generative"]
"""No flux; the spectrum's mean flux; the mean of baselines; that with noise of the pixels' errors; what the
model draws there if it does not see the window."""

_APART = 16
"""Of half-overlapping windows every so manieth is hidden at once: an eighth of the pixels."""


def replacement_of(
    subject: Subject, replacement: Replacement, width: int, baselines: int, seed: int
) -> Tensor:
    """(N,) float64, what takes the place of windows of that width in pixels.

    Parameters
    ----------
    baselines, seed : number of calibration spectra drawn for their mean, and what draws them and the noise.

    Raises
    ------
    ConfigurationError : the model has fewer calibration spectra, or cannot hide pixels from itself.
    """
    flux = subject.flux.double()
    if replacement == "zero":
        return flux.new_zeros(flux.shape)
    if replacement == "mean flux":
        return flux.new_full(flux.shape, float(subject.flux[subject.good].mean()))
    if replacement == "generative":
        return _drawn_without(subject, width)
    from engine.attribution.baselines import typical_spectra

    mean = typical_spectra(subject, "random", baselines, seed).double().mean(dim=0)
    if replacement == "mean baseline":
        return mean
    from engine.attribution.draws import noise

    return mean + noise(seed, 1, "normal", subject.sigma)[0]


def _drawn_without(subject: Subject, width: int) -> Tensor:
    """What the model draws of each pixel if it does not see a window of that width around it.

    Windows lie half a width apart, and a pixel takes what is drawn in the window whose middle is nearest.
    """
    import torch

    from engine.attribution.memory import spectra_at_once

    flux, pixels = subject.flux.double(), len(subject.flux)
    step = max(width // 2, 1)
    number = torch.arange(pixels, device=flux.device) // step
    group = number % min(_APART, int(number[-1]) + 1)
    groups = torch.arange(int(group.max()) + 1, device=flux.device)
    # The step's own pixels, and half a width around them.
    own = group == groups[:, None]
    hidden = torch.nn.functional.max_pool1d(
        own.double()[:, None], width - step + 1, 1, (width - step + 1) // 2
    )
    seen = ~(hidden[:, 0, :pixels] > 0)
    rows = spectra_at_once(subject.memory_bytes, subject.floats_per_pixel, pixels)
    drawn = [
        subject.model_anew.drawn_from(flux.expand(len(part), -1), part) for part in torch.split(seen, rows)
    ]
    return torch.where(own, torch.cat(drawn), 0.0).sum(dim=0)
