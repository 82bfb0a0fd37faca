"""Mixing layers on position-major arrays: whole, tap by tap, and on a few positions."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from models.local.differences import CastOnce, dense_taps


class Mixing(ABC):
    """A layer whose position k looks at positions ``k * stride - padding + t * dilation``, t < kernel.

    Arrays are (M, P, C): baselines, positions, channels.
    """

    def __init__(self, kernel: int, stride: int, padding: int, dilation: int) -> None:
        self.kernel, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation

    def positions(self, positions: int) -> int:
        """Number of output positions for so many input positions."""
        return (positions + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1

    def taps(self, hidden: Tensor, filling: float) -> Tensor:
        """(M, P, C) to (M, P', kernel, C), a view of a copy with ``filling`` beyond the ends."""
        padded = nn.functional.pad(hidden, (0, 0, self.padding, self.padding), value=filling)
        baselines, positions, channels = padded.shape
        outputs = self.positions(positions - 2 * self.padding)
        step = padded.stride(1)
        return padded.as_strided(
            (baselines, outputs, self.kernel, channels),
            (padded.stride(0), self.stride * step, self.dilation * step, padded.stride(2)),
        )

    @abstractmethod
    def value(self, hidden: Tensor) -> Tensor:
        """(M, P, C) to (M, P', C')."""


class Sum(Mixing):
    """A weighted sum of taps, one matrix each: convolution, average pooling."""

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: int, padding: int, dilation: int) -> None:
        super().__init__(len(weight), stride, padding, dilation)
        self.weight = weight.contiguous()
        self.weight_in = CastOnce(self.weight)
        self._bias = bias

    def value(self, hidden: Tensor) -> Tensor:
        """(M, P, C) to (M, P', C')."""
        taps = self.taps(hidden, 0.0)
        total = taps.flatten(2) @ self.weight.flatten(0, 1)
        return total if self._bias is None else total + self._bias

    def suffixes(self, hidden: Tensor) -> Tensor:
        """Sums over the last taps, (M, P, C) to (kernel + 1, M, P', C'), without the bias.

        Entry t adds taps t, t + 1, …
        """
        taps = self.taps(hidden, 0.0)
        sums = hidden.new_zeros(self.kernel + 1, *taps.shape[:2], self.weight.shape[2])
        for tap in reversed(range(self.kernel)):
            torch.matmul(taps[:, :, tap], self.weight[tap], out=sums[tap])
            sums[tap] += sums[tap + 1]
        return sums


class Maximum(Mixing):
    """The largest of the taps, per channel."""

    def value(self, hidden: Tensor) -> Tensor:
        """(M, P, C) to (M, P', C)."""
        return self.taps(hidden, -torch.inf).amax(dim=2)

    def across(self, taps: Tensor, outputs: int) -> Tensor:
        """Neighbouring outputs, (..., outputs, C), of all the positions (..., P, C) that they look at."""
        *before, position, channel = taps.stride()
        windows = taps.as_strided(
            (*taps.shape[:-2], outputs, self.kernel, taps.shape[-1]),
            (*before, self.stride * position, self.dilation * position, channel),
        )
        return windows.amax(dim=-2)


def mixing(layer: nn.Module, channels: int, device: torch.device) -> Mixing:
    """The mixing layer of ``channels`` input channels that ``layer`` is, in float64."""
    if isinstance(layer, nn.Conv1d):
        padding = layer.padding[0]
        if not isinstance(padding, int):
            raise TypeError("checked by models.local.local_layers")
        bias = None if layer.bias is None else layer.bias.detach().double()
        return Sum(dense_taps(layer).double(), bias, layer.stride[0], padding, layer.dilation[0])
    if isinstance(layer, nn.AvgPool1d):
        kernel, stride, padding = _one(layer.kernel_size), _one(layer.stride), _one(layer.padding)
        each = torch.eye(channels, dtype=torch.float64, device=device).expand(kernel, -1, -1)
        # Where padding does not count, the sum is divided afterwards, see ``divisor``.
        return Sum(each / kernel if layer.count_include_pad else each, None, stride, padding, 1)
    if isinstance(layer, nn.MaxPool1d):
        return Maximum(_one(layer.kernel_size), _one(layer.stride), _one(layer.padding), _one(layer.dilation))
    raise TypeError("checked by models.local.local_layers")


def divisor(layer: nn.Module, mixed: Mixing, positions: int, device: torch.device) -> Tensor | None:
    """(P',) one over the number of real positions that each average takes; None if all are alike."""
    if not isinstance(layer, nn.AvgPool1d) or layer.count_include_pad:
        return None
    real = torch.ones(1, positions, 1, dtype=torch.float64, device=device)
    return 1 / mixed.taps(real, 0.0).sum(dim=2)[0, :, 0]


def _one(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]
