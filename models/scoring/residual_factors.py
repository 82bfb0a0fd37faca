"""Residual factors: the few rest-frame modes in which reconstructions of usual spectra are wrong.

The decoder draws a spectrum from a handful of numbers; real lines are a little stronger, bands a little
deeper. Factor analysis (Rubin & Thayer 1982, Psychometrika 47, 69) of residuals with gaps and unequal noise
finds the directions: residual = U a + noise, a of unit variance. Expectation maximisation fits it, as Bailey
(2012, PASP 124, 1015) does for principal components.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.scoring.placed_modes import PlacedModes

_RIDGE = 1e-3
"""Share of a pixel's mean information that holds its row of U towards zero."""


class ResidualFactors(nn.Module):
    """Modes U in the rest frame; zero until fitted or loaded.

    Parameters
    ----------
    rest_size : pixels of the decoder's rest-frame grid; count : number of modes K.
    """

    modes: Tensor

    def __init__(self, rest_size: int, count: int) -> None:
        super().__init__()
        self.register_buffer("modes", torch.zeros(rest_size, count))

    def forward(self, left: Tensor, fraction: Tensor) -> PlacedModes:
        """Modes at rest-frame places (B, N), see ``Decoder.places``."""
        return PlacedModes(self.modes, left, fraction)


def on_rest_grid(residual: Tensor, ivar: Tensor, place: Tensor, rest_size: int) -> tuple[Tensor, Tensor]:
    """Residuals and inverse variances (n, R) per rest pixel, of observed ones (n, N) at places (n, N).

    Every rest pixel takes its nearest observed one, and that one's information is shared among those that
    take it.
    """
    wanted = torch.arange(rest_size, dtype=place.dtype).expand(len(place), -1).contiguous()
    right = torch.searchsorted(place.contiguous(), wanted).clamp(1, place.shape[1] - 1)
    lower, upper = torch.gather(place, 1, right - 1), torch.gather(place, 1, right)
    nearest = torch.where(wanted - lower < upper - wanted, right - 1, right)
    inside = (wanted >= place[:, :1]) & (wanted <= place[:, -1:])
    share = 1 / (upper - lower).clamp_min(1e-6)
    weight = torch.where(inside, torch.gather(ivar, 1, nearest) * share.to(ivar.dtype), 0.0)
    return torch.where(weight > 0, torch.gather(residual, 1, nearest), 0.0), weight


def fit_modes(
    residual: Tensor, weight: Tensor, count: int, rounds: int, seed: int, freedom: float = math.inf
) -> Tensor:
    """Modes U (R, count), float32, of residuals (n, R) with inverse variances (n, R), 0 where not seen.

    Strengths follow a t law of ``freedom`` degrees, a normal one where it is infinite. With few degrees a
    mode has to be seen in many spectra: one in which the strengths are large has the less to say (McLachlan,
    Bean & Jones 2007, Comput. Stat. Data Anal. 51, 5327).
    """
    generator = torch.Generator().manual_seed(seed)
    modes = torch.randn(residual.shape[1], count, generator=generator) * 0.02
    weighted = residual * weight
    ridge = _RIDGE * float(weight.sum(dim=0).mean()) + 1e-6
    for _ in range(rounds):
        mean, second = _expected(modes, weight, weighted)
        if math.isfinite(freedom):
            size = second.diagonal(dim1=1, dim2=2).sum(dim=1)
            say = (freedom + count) / (freedom + size)
            mean, second = mean * say[:, None], second * say[:, None, None]
        left = (weight.T @ second.flatten(1)).view(-1, count, count)
        left += ridge * torch.eye(count)
        modes = torch.linalg.solve(left.double(), (weighted.T @ mean).double()[..., None])[..., 0].float()
        # Strengths of another variance than one are as likely with modes scaled to match; without this
        # step (Liu, Rubin & Wu 1998, Biometrika 85, 755) modes would take hundreds of rounds to grow.
        modes = modes @ torch.linalg.cholesky(second.mean(dim=0).double()).float()
    return modes


def _expected(modes: Tensor, weight: Tensor, weighted: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (n, K) and second moment (n, K, K) of the strengths, given modes and residuals."""
    count = modes.shape[1]
    products = (modes[:, :, None] * modes[:, None, :]).flatten(1)
    information = (weight @ products).view(-1, count, count) + torch.eye(count)
    covariance = torch.linalg.inv(information.double()).float()
    mean = (covariance @ (weighted @ modes)[..., None])[..., 0]
    return mean, covariance + mean[:, :, None] * mean[:, None, :]
