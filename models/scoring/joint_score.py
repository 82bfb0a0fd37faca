"""The joint score of four parts: density of the latents, residual factors, residual scan, local novelty.

Calibration turns each part into minus the log of its tail probability among usual spectra of the same depth
and redshift. The score is the log of the weighted mean of the inverse tails: minus the log of the harmonic
mean p-value (Wilson 2019, PNAS 116, 1195). It is near the largest part, smooth, and never far below zero.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.calibration.calibration import Calibration

PARTS = ("density", "misfit", "residual", "novelty")
"""Names of the four, in the order of tensors."""
SHARES = (0.05, 0.05, 0.85, 0.05)
"""Their weights in the mean. Most of what is injected shows in the residual: the others cost it little."""


class JointScore(nn.Module):
    """From the parts' raw values to the score."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([Calibration() for _ in PARTS])

    def fit(self, raw: Tensor, depth: Tensor, redshift: Tensor) -> None:
        """Learn every part's tail from usual spectra, raw (n, 4), depth and redshift (n,)."""
        for number in range(len(PARTS)):
            values = (raw[:, number], depth, redshift)
            self.parts[number] = Calibration.fit(*(value.double().numpy() for value in values))

    def forward(self, raw: Tensor, depth: Tensor, redshift: Tensor) -> Tensor:
        """Score, (...) float64, of raw (..., 4); depth and redshift broadcast against (...)."""
        depths = [part(raw[..., number], depth, redshift) for number, part in enumerate(self.parts)]
        shares = [depth + math.log(share) for depth, share in zip(depths, SHARES, strict=True)]
        return torch.logsumexp(torch.stack(shares, dim=-1), dim=-1)
