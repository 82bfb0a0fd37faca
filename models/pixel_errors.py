"""Errors of pixels against the median error of their spectrum: they bound what flux may say.

Let the errors of some pixels grow, and their residuals with them: a score that follows flux over error
stays what it was. In the limit a pixel of infinite error is a masked one. docs/method.md says more.
"""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST_ERROR = 5.0
"""Errors of pixels that an encoder sees, in units of the median. Beyond are 0.5 % of the pixels of simulated
DESI spectra and 2 % of SDSS's."""


def depth_of(ivar: Tensor) -> Tensor:
    """Median over good pixels of sqrt(ivar), (B, N) to (B,): the S/N per pixel of unit flux.

    It does not depend on flux, so it stays what it is when flux is occluded. 1 without a good pixel.
    """
    root = torch.where(ivar > 0, ivar.clamp_min(0).sqrt(), torch.nan)
    return torch.nan_to_num(root.nanmedian(dim=1).values, nan=1.0)


def seen(ivar: Tensor) -> Tensor:
    """The inverse variances (B, N) that an encoder is given: 0, as masked, where the error is too large."""
    relative = depth_of(ivar)[:, None] / ivar.clamp_min(0).sqrt()
    return torch.where(relative <= LARGEST_ERROR, ivar, 0.0)
