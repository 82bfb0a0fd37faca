"""Additive poolings: sums over positions, the one place where all positions of a spectrum meet.

Each position contributes K numbers, and only their sums over positions go on. So an occlusion can replace
some positions' contributions and keep all others. Rules take position-major tensors (..., P, C);
:meth:`forward` takes the usual (B, C, P).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.local.differences import Chain, Difference, Terms, difference
from models.local.local_layers import check_pointwise


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a zone, and the positions over which their contributions are added up."""

    rows: slice
    positions: range


class AdditivePooling(nn.Module):
    """A pooling of features: contributions per position, their sums, and pooled features of the sums."""

    @abstractmethod
    def size(self, channels: int) -> int:
        """Number of sums K for so many channels."""

    @abstractmethod
    def rule(self, channels: int) -> PoolingRule:
        """The pooling in value and in difference, with its parameters as they are now."""


class PoolingRule:
    """One pooling's contributions and pooled features, in value and in difference."""

    @abstractmethod
    def contributions(self, hidden: Tensor) -> Tensor:
        """(..., P, C) to (..., P, K)."""

    @abstractmethod
    def terms(self, hidden: Tensor, dtype: torch.dtype) -> Terms:
        """What :meth:`change` needs of ``hidden`` (..., P, C), per position."""

    @abstractmethod
    def change(self, change: Tensor, terms: Terms, parts: Sequence[Part], sums: Sequence[Tensor]) -> None:
        """Add up contributions at hidden + change minus those at hidden, over some of the positions.

        ``change`` is (..., R, P, C), ``terms`` broadcast against it with R = 1. For each of ``parts``,
        the sums over its positions for its rows, (..., rows, K), are written to the tensor of the
        same place in ``sums``.
        """

    @property
    @abstractmethod
    def multiply_adds(self) -> int:
        """Multiply-adds of matrix products in :meth:`change`, for one position."""

    @abstractmethod
    def pooled(self, sums: Tensor) -> Tensor:
        """Sums (..., K) to pooled features (..., F)."""

    @abstractmethod
    def pooled_change(self, change: Tensor, sums: Tensor) -> Tensor:
        """Pooled features at sums + change minus those at sums; both broadcast."""


class AttentionPooling(AdditivePooling):
    """Attention-weighted means, ``sum(h e^a) / sum(e^a)``, one weight per head and position.

    Channel c belongs to head c % heads: neighbours in memory belong to different heads, so that a vector
    register needs no weight twice.

    Parameters
    ----------
    logits : pointwise layers from the C channels to ``heads`` logits a.
    heads : number of heads; must divide C.
    """

    def __init__(self, logits: Sequence[nn.Module], heads: int) -> None:
        super().__init__()
        check_pointwise(logits, "the logits of AttentionPooling")
        self.logits = nn.Sequential(*logits)
        self.heads = heads

    def size(self, channels: int) -> int:
        """A weighted sum per channel and a sum of weights per head."""
        return channels + self.heads

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, P) to (B, C)."""
        weight = torch.softmax(self.logits(hidden), dim=-1)
        per_head = torch.unflatten(hidden, 1, (-1, self.heads))
        return torch.einsum("bchp,bhp->bch", per_head, weight).flatten(1)

    def rule(self, channels: int) -> PoolingRule:
        """See :class:`AdditivePooling`."""
        del channels
        return _AttentionRule(Chain([difference(layer) for layer in self.logits]), self.heads)


class LogSumExpPooling(AdditivePooling):
    """A smooth maximum over positions, ``log(sum(e^a))``, per feature.

    Parameters
    ----------
    features : pointwise layers from the C channels to the features a.
    count : number of features.
    """

    def __init__(self, features: Sequence[nn.Module], count: int) -> None:
        super().__init__()
        check_pointwise(features, "the features of LogSumExpPooling")
        self.features = nn.Sequential(*features)
        self.count = count

    def size(self, channels: int) -> int:  # noqa: ARG002
        """One sum per feature."""
        return self.count

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, P) to (B, count)."""
        return torch.logsumexp(self.features(hidden), dim=-1)

    def rule(self, channels: int) -> PoolingRule:
        """See :class:`AdditivePooling`."""
        del channels
        return _LogSumExpRule(Chain([difference(layer) for layer in self.features]))


class JointPooling(AdditivePooling):
    """Several poolings of the same positions, side by side."""

    def __init__(self, parts: Sequence[AdditivePooling]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def size(self, channels: int) -> int:
        """All parts' sums."""
        return sum(part.size(channels) for part in self._poolings())

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, P) to (B, F), the parts' features in order."""
        return torch.cat([part(hidden) for part in self.parts], dim=1)

    def rule(self, channels: int) -> PoolingRule:
        """See :class:`AdditivePooling`."""
        parts = self._poolings()
        return _JointRule([part.rule(channels) for part in parts], [part.size(channels) for part in parts])

    def _poolings(self) -> list[AdditivePooling]:
        return [part for part in self.parts if isinstance(part, AdditivePooling)]


class _AttentionRule(PoolingRule):
    def __init__(self, logits: Difference, heads: int) -> None:
        self._logits, self._heads = logits, heads

    @property
    def multiply_adds(self) -> int:
        return self._logits.multiply_adds

    def _per_head(self, hidden: Tensor) -> Tensor:
        return torch.unflatten(hidden, -1, (-1, self._heads))

    def contributions(self, hidden: Tensor) -> Tensor:
        weight = self._logits.value(hidden).exp()
        weighted = (self._per_head(hidden) * weight[..., None, :]).flatten(-2)
        return torch.cat((weighted, weight), dim=-1)

    def terms(self, hidden: Tensor, dtype: torch.dtype) -> Terms:
        weight = self._logits.value(hidden).exp()
        return (hidden.to(dtype), weight.to(dtype), self._logits.terms(hidden, dtype))

    def change(self, change: Tensor, terms: Terms, parts: Sequence[Part], sums: Sequence[Tensor]) -> None:
        hidden, weight, of_logits = terms
        # e^(a + d) - e^a = e^a (e^d - 1); (h + g)(e + f) - h e = g (e + f) + h f
        more = torch.expm1(self._logits.change(change, of_logits)).mul_(weight)
        total = (more + weight)[..., None, :]
        change, hidden = self._per_head(change), self._per_head(hidden)
        for part, into in zip(parts, sums, strict=True):
            _add_up(more, part, into[..., -self._heads :])
            weighted = self._per_head(into[..., : -self._heads])
            if not part.positions:
                weighted.zero_()
            for position in part.positions:
                own, whole = change[..., part.rows, position, :, :], total[..., part.rows, position, :, :]
                if position == part.positions[0]:
                    torch.mul(own, whole, out=weighted)
                else:
                    weighted.addcmul_(own, whole)
                weighted.addcmul_(hidden[..., position, :, :], more[..., part.rows, position, None, :])

    def pooled(self, sums: Tensor) -> Tensor:
        weighted, weight = sums[..., : -self._heads], sums[..., -self._heads :]
        return (self._per_head(weighted) / weight[..., None, :]).flatten(-2)

    def pooled_change(self, change: Tensor, sums: Tensor) -> Tensor:
        # (S + s) / (Z + z) - S / Z = (s - (S / Z) z) / (Z + z)
        weighted, weight = change[..., : -self._heads], change[..., -self._heads :]
        mean = self._per_head(self.pooled(sums))
        total = (sums[..., -self._heads :] + weight)[..., None, :]
        moved = torch.addcmul(self._per_head(weighted), mean, weight[..., None, :], value=-1)
        return moved.div_(total).flatten(-2)


class _LogSumExpRule(PoolingRule):
    def __init__(self, features: Difference) -> None:
        self._features = features

    @property
    def multiply_adds(self) -> int:
        return self._features.multiply_adds

    def contributions(self, hidden: Tensor) -> Tensor:
        return self._features.value(hidden).exp()

    def terms(self, hidden: Tensor, dtype: torch.dtype) -> Terms:
        return (self._features.value(hidden).exp().to(dtype), self._features.terms(hidden, dtype))

    def change(self, change: Tensor, terms: Terms, parts: Sequence[Part], sums: Sequence[Tensor]) -> None:
        raised, of_features = terms
        more = torch.expm1(self._features.change(change, of_features)).mul_(raised)
        for part, into in zip(parts, sums, strict=True):
            _add_up(more, part, into)

    def pooled(self, sums: Tensor) -> Tensor:
        return sums.log()

    def pooled_change(self, change: Tensor, sums: Tensor) -> Tensor:
        return torch.log1p(change / sums)


class _JointRule(PoolingRule):
    def __init__(self, parts: Sequence[PoolingRule], sizes: Sequence[int]) -> None:
        self._parts = tuple(parts)
        self._sizes = list(sizes)

    @property
    def multiply_adds(self) -> int:
        return sum(part.multiply_adds for part in self._parts)

    def _split(self, sums: Tensor) -> tuple[Tensor, ...]:
        return torch.split(sums, self._sizes, dim=-1)

    def contributions(self, hidden: Tensor) -> Tensor:
        return torch.cat([part.contributions(hidden) for part in self._parts], dim=-1)

    def terms(self, hidden: Tensor, dtype: torch.dtype) -> Terms:
        return tuple(part.terms(hidden, dtype) for part in self._parts)

    def change(self, change: Tensor, terms: Terms, parts: Sequence[Part], sums: Sequence[Tensor]) -> None:
        shares = [self._split(into) for into in sums]
        for number, (pooling, of) in enumerate(zip(self._parts, terms, strict=True)):
            pooling.change(change, of, parts, [share[number] for share in shares])

    def pooled(self, sums: Tensor) -> Tensor:
        pairs = zip(self._parts, self._split(sums), strict=True)
        return torch.cat([part.pooled(piece) for part, piece in pairs], dim=-1)

    def pooled_change(self, change: Tensor, sums: Tensor) -> Tensor:
        pieces = zip(self._parts, self._split(change), self._split(sums), strict=True)
        return torch.cat([part.pooled_change(moved, of) for part, moved, of in pieces], dim=-1)


def _add_up(values: Tensor, part: Part, into: Tensor) -> None:
    """Sum over the positions of a part; a few additions are faster than a reduction."""
    numbers = part.positions
    if not numbers:
        into.zero_()
    elif len(numbers) == 1:
        into.copy_(values[..., part.rows, numbers[0], :])
    else:
        first, second = (values[..., part.rows, number, :] for number in numbers[:2])
        torch.add(first, second, out=into)
        for number in numbers[2:]:
            into.add_(values[..., part.rows, number, :])
