"""Inverse occlusion with wide windows some pixels apart: nearly the same maps in a part of the time.

Neighbouring windows of one width share nearly all their pixels, so their effects are nearly the same. Here
those of width W are W // 8 pixels apart, but no further than asked, and each pixel is spoken for by the
window whose centre is nearest. Narrow windows are laid at every pixel as in a run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from engine.occlusion.attribution import WindowEffects
from engine.occlusion.request import Occluder, OcclusionRequest
from engine.occlusion.windows import Scale, centred_scales
from models.spectrum_model import LogProb

_PART = 8
"""Windows are at most this part of their width apart."""


def sparse_scales(windows: Sequence[int], pixels: int, step: int) -> tuple[Scale, ...]:
    """The windows of :func:`engine.occlusion.windows.centred_scales`, up to ``step`` pixels apart."""
    return tuple(
        _every(scale, min(max(scale.window // _PART, 1), step)) for scale in centred_scales(windows, pixels)
    )


def sparse_effects(
    occluder: Occluder, log_prob: LogProb, request: OcclusionRequest, windows: tuple[int, ...], step: int
) -> WindowEffects:
    """What pasting the windows of :func:`sparse_scales` does; ``occluder`` must occlude ``log_prob``."""
    good = request.good.cpu().numpy()
    scales = tuple(scale.pasting(good) for scale in sparse_scales(windows, request.pixels, step))
    differences = tuple(part.double().cpu().numpy() for part in occluder.differences(request, scales))
    known = torch.cat([request.spectrum[None], request.baselines]).double()
    log_probs = torch.cat([log_prob(row[None]) for row in known]).double().cpu().numpy()
    return WindowEffects(windows, scales, differences, good, float(log_probs[0]), log_probs[1:])


def _every(scale: Scale, step: int) -> Scale:
    pixels = len(scale.of_pixel)
    of_pixel = np.arange(pixels, dtype=np.int64) // step
    middle = np.minimum(np.arange(0, pixels, step, dtype=np.int64) + step // 2, pixels - 1)
    return Scale(scale.window, scale.start[middle], scale.stop[middle], of_pixel)
