"""Placed modes: rest-frame modes U as they lie on the observed pixels of spectra.

An observed pixel lies between two neighbours of the rest frame and holds their weighted mean. Both functions
here make use of that: products with many columns run over the rest frame, where a spectrum covers fewer
pixels than it has, and pixels follow by interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class PlacedModes:
    """K modes of the rest frame on the N pixels of B spectra.

    Attributes
    ----------
    modes : (R, K), in the rest frame.
    left, fraction : (B, N), rest-frame pixel to the left of each observed one, and how far towards the next.
    """

    modes: Tensor
    left: Tensor
    fraction: Tensor

    def gram(self, weight: Tensor) -> Tensor:
        """U' W U of weights (B, N), (B, K, K)."""
        rows = zip(self.left, self.fraction, weight, strict=True)
        return torch.stack([self._gram(*row) for row in rows])

    def _gram(self, left: Tensor, fraction: Tensor, weight: Tensor) -> Tensor:
        first, stop = int(left.min()), int(left.max()) + 2
        seen, place = self.modes[first:stop], left - first
        rest = 1 - fraction
        # On the rest frame the weights are a matrix with one diagonal to either side of its main one.
        main, beside = weight.new_zeros(2, stop - first + 1)
        main.index_add_(0, place, weight * rest.square()).index_add_(0, place + 1, weight * fraction.square())
        beside.index_add_(0, place + 1, weight * rest * fraction)
        middle = torch.arange(len(seen), device=left.device)
        neighbours = torch.stack((middle - 1, middle, middle + 1), dim=1).clamp(0, len(seen) - 1)
        shares = torch.stack((beside[:-1], main[:-1], beside[1:]), dim=1)
        return seen.T @ nn.functional.embedding_bag(neighbours, seen, per_sample_weights=shares, mode="sum")

    def times(self, matrix: Tensor, factor: Tensor) -> Tensor:
        """U times matrices (B, K, K'), every pixel's row times its factor (B, N), (B, N, K')."""
        rows = zip(self.left, self.fraction, matrix, factor, strict=True)
        return torch.stack([self._times(*row) for row in rows])

    def _times(self, left: Tensor, fraction: Tensor, matrix: Tensor, factor: Tensor) -> Tensor:
        first, stop = int(left.min()), int(left.max()) + 2
        mixed = self.modes[first:stop] @ matrix
        neighbours = torch.stack((left, left + 1), dim=1) - first
        shares = torch.stack((factor * (1 - fraction), factor * fraction), dim=1)
        return nn.functional.embedding_bag(neighbours, mixed, per_sample_weights=shares, mode="sum")
