"""Gap filling: masked pixels interpolated, for models that were made for spectra without any."""

from __future__ import annotations

import torch
from torch import Tensor


class GapFilling:
    """Replaces masked pixels by a straight line between the nearest good ones, the ends by the last good one.

    What a masked pixel held, not-a-number included, has no influence. A spectrum without a good pixel
    becomes 0.

    Parameters
    ----------
    good : (B, N) bool, or (1, N) if all spectra share it.
    """

    def __init__(self, good: Tensor) -> None:
        pixels = good.shape[1]
        pixel = torch.arange(pixels, device=good.device).expand_as(good)
        left = torch.where(good, pixel, -1).cummax(dim=1).values
        right = torch.where(good, pixel, pixels).flip(1).cummin(dim=1).values.flip(1)
        self._good = good
        self._whole = bool(good.all())
        self._any = good.any(dim=1, keepdim=True)
        self._left = torch.where(left < 0, right, left).clamp_max(pixels - 1)
        self._right = torch.where(right == pixels, left, right).clamp_min(0)
        span = (self._right - self._left).clamp_min(1)
        self._share = (pixel - self._left).double() / span

    def __call__(self, flux: Tensor) -> Tensor:
        """(B, N) to (B, N)."""
        if self._whole:
            return flux
        known = torch.where(self._good, flux, 0.0)
        left, right = (torch.gather(known, 1, at.expand_as(flux)) for at in (self._left, self._right))
        line = left + (right - left) * self._share.to(flux.dtype)
        return torch.where(self._good, flux, torch.where(self._any, line, 0.0))
