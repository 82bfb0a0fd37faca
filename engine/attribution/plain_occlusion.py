"""Plain occlusion: windows of the spectrum replaced, the usual way round."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.occlusion.combine import PRESETS, scale_map
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.attribution.subject import Subject, effects_of


def plain_occlusion(
    subject: Subject, replacement: Tensor, widths: tuple[int, ...], memory_bytes: int
) -> NDArray[np.float64]:
    """How much less odd the spectrum is without the window around each pixel, (W, N).

    Parameters
    ----------
    replacement : (N,) what takes the window's place.
    widths : of the windows in pixels; they are laid as
        :func:`engine.attribution.occlusion.windows.spaced_scales` does.
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
