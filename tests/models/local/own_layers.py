"""Layers, a pooling and a lift as users may write their own: what the model that ships does not need."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.local.additive_pooling import AdditivePooling, Part, PoolingRule
from models.local.differences import Difference, Terms, evaluated, scale
from models.local.local_layers import PointwiseLayer


class AddChannel(nn.Module):
    """The plainest lift: (B, N) to (B, 1, N)."""

    def forward(self, flux: Tensor) -> Tensor:
        return flux[:, None]


class Pointwise(PointwiseLayer):
    """A module or function that maps (B, C, P) to (B, C', P), each position by itself."""

    def __init__(self, function: nn.Module) -> None:
        super().__init__()
        self.function = function

    def forward(self, hidden: Tensor) -> Tensor:
        moved: Tensor = self.function(hidden)
        return moved

    def difference(self) -> Difference:
        double = copy.deepcopy(self.function).double()

        def channels_last(base: Tensor) -> Tensor:
            flat = base.reshape(1, -1, base.shape[-1]).transpose(1, 2)
            moved: Tensor = double(flat).transpose(1, 2)
            return moved.reshape(*base.shape[:-1], moved.shape[-1])

        return evaluated(channels_last)


class PositionScale(PointwiseLayer):
    """Multiplies by a constant per position, (P,): e.g. one over how many pixels a position averages."""

    factor: Tensor

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor, persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden * self.factor

    def difference(self) -> Difference:
        return scale(self.factor[:, None])


class ChannelNorm(PointwiseLayer):
    """Layer normalisation over the channels of each position by itself (Ba et al., arXiv 1607.06450)."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps)

    def forward(self, hidden: Tensor) -> Tensor:
        normed: Tensor = self.norm(hidden.transpose(-1, -2)).transpose(-1, -2)
        return normed

    def difference(self) -> Difference:
        return evaluated(copy.deepcopy(self.norm).double())


class MeanPooling(AdditivePooling):
    """The mean over positions."""

    def __init__(self, positions: int) -> None:
        super().__init__()
        self.positions = positions

    def size(self, channels: int) -> int:
        return channels

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden.sum(dim=-1) / self.positions

    def rule(self, channels: int) -> PoolingRule:
        del channels
        return _MeanRule(self.positions)


class _MeanRule(PoolingRule):
    def __init__(self, positions: int) -> None:
        self._positions = positions

    @property
    def multiply_adds(self) -> int:
        return 0

    def contributions(self, hidden: Tensor) -> Tensor:
        return hidden

    def terms(self, hidden: Tensor, dtype: torch.dtype) -> Terms:  # noqa: ARG002
        return ()

    def change(self, change: Tensor, terms: Terms, parts: Sequence[Part], sums: Sequence[Tensor]) -> None:
        del terms
        for part, into in zip(parts, sums, strict=True):
            into.zero_()
            for position in part.positions:
                into.add_(change[..., part.rows, position, :])

    def pooled(self, sums: Tensor) -> Tensor:
        return sums / self._positions

    def pooled_change(self, change: Tensor, sums: Tensor) -> Tensor:  # noqa: ARG002
        return change / self._positions
