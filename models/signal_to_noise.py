"""The signal-to-noise ratio by which models are calibrated and their use is bounded."""

from __future__ import annotations

import torch
from torch import Tensor


def signal_to_noise(flux: Tensor, ivar: Tensor) -> Tensor:
    """Median over pixels of positive ``ivar`` of flux * sqrt(ivar), (B, N) twice to (B,); NaN without any.

    Of an even number of pixels the lower of the middle two.
    """
    ratio = torch.where(ivar > 0, flux * ivar.clamp_min(0).sqrt(), torch.nan)
    return ratio.nanmedian(dim=1).values
