"""The density of latents: a masked autoregressive flow (Papamakarios et al. 2017) from zuko."""

from __future__ import annotations

import torch
import zuko
from torch import Tensor, nn


class LatentDensity(nn.Module):
    """Log density of latents under an affine autoregressive flow on standardised latents.

    Affine rather than spline transforms: the flow runs once per pasted window, so it must be cheap.

    Parameters
    ----------
    latents : number of latents; transforms, hidden : size of the flow.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, latents: int, transforms: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.flow = zuko.flows.MAF(latents, transforms=transforms, hidden_features=hidden)
        self.register_buffer("centre", torch.zeros(latents))
        self.register_buffer("scale", torch.ones(latents))

    def standardise(self, latents: Tensor) -> None:
        """Set the standardisation from a sample of latents, (n, S)."""
        self.centre.copy_(latents.mean(dim=0))
        self.scale.copy_(latents.std(dim=0).clamp_min(1e-6))

    def forward(self, latents: Tensor) -> Tensor:
        """Natural log of the density of latents, (B, S) to (B,)."""
        standard = (latents - self.centre) / self.scale
        log_prob: Tensor = self.flow().log_prob(standard) - torch.log(self.scale).sum()
        return log_prob
