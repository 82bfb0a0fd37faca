"""The encoder of spender (Melchior et al. 2023, arXiv 2211.07890), as version 0.3 writes it.

Parameters carry spender's names, so that its state dicts load as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

CHANNELS = (128, 256, 512)
KERNELS = (5, 11, 21)
HIDDEN = (128, 64, 32)

AT_ONCE = {"cpu": 4}
"""Spectra that go through the convolutions together: on a processor more would not fit its caches."""
_AT_ONCE_ELSEWHERE = 64


class SpenderEncoder(nn.Module):
    """Three convolutions with instance norms, attention over positions, a perceptron.

    It takes flux alone: no redshift, no inverse variance. The instance norms couple every pixel with every
    other, so it cannot be occluded by seams.

    Parameters
    ----------
    latents : number of latents S; hidden : widths of the perceptron.
    """

    def __init__(self, latents: int, hidden: Sequence[int] = HIDDEN) -> None:
        super().__init__()
        inputs = (1, *CHANNELS[:-1])
        self.conv1, self.conv2, self.conv3 = (
            nn.Sequential(
                nn.Conv1d(channels_in, channels, kernel, padding=kernel // 2),
                nn.InstanceNorm1d(channels),
                nn.PReLU(channels),
            )
            for channels_in, channels, kernel in zip(inputs, CHANNELS, KERNELS, strict=True)
        )
        widths = (CHANNELS[-1] // 2, *hidden, latents)
        layers: list[nn.Module] = []
        for width, next_width in pairwise(widths[:-1]):
            # Spender had a dropout here, and keeps its place.
            layers += [nn.Linear(width, next_width), nn.PReLU(next_width), nn.Identity()]
        self.mlp = nn.Sequential(*layers, nn.Linear(widths[-2], latents))

    def forward(self, flux: Tensor) -> Tensor:
        """Latents (B, S) of flux (B, L)."""
        pieces = torch.split(flux, AT_ONCE.get(flux.device.type, _AT_ONCE_ELSEWHERE))
        latents: Tensor = self.mlp(torch.cat([self._features(piece) for piece in pieces]))
        return latents

    def _features(self, flux: Tensor) -> Tensor:
        """Attended features, (B, 256)."""
        hidden = _pooled(self.conv1, flux[:, None], KERNELS[0])
        hidden = _pooled(self.conv2, hidden, KERNELS[1])
        values, logits = self.conv3(hidden).chunk(2, dim=1)
        features: Tensor = (values * torch.softmax(logits, dim=-1)).sum(dim=-1)
        return features


def _pooled(block: nn.Sequential, inputs: Tensor, width: int) -> Tensor:
    """``max_pool1d(block(inputs))``, pooled before it is normalised: a fifth of the numbers, or fewer.

    Normalising rises with its argument, and so does the activation unless its slope below zero is negative;
    then it falls and rises, and its largest value is at the largest or at the smallest argument.
    """
    parts: list[Any] = list(block)
    convolution, norm, activation = parts
    raw: Tensor = convolution(inputs)
    mean = raw.mean(dim=-1, keepdim=True)
    centred = raw - mean
    scale = torch.rsqrt(centred.square().mean(dim=-1, keepdim=True) + norm.eps)

    def pool(values: Tensor) -> Tensor:
        return nn.functional.max_pool1d(values, width, width, padding=width // 2)

    largest: Tensor = activation(pool(centred) * scale)
    if bool((activation.weight < 0).any()):
        largest = torch.maximum(largest, activation(-pool(-centred) * scale))
    return largest
