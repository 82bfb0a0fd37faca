"""A whitened residual: what a matched filter needs of one spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor, nn

BLOCK = 6
"""Pixels of a block, over which broad templates are constant: a tenth of the narrowest of them."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over M bins of pixels, of which a template made of bins needs no more.

    Attributes
    ----------
    filtered : (..., M), of C^-1 r; weight : (..., M), of W; modes : (..., M, K), of W^1/2 V.
    """

    filtered: Tensor
    weight: Tensor
    modes: Tensor


@dataclass(frozen=True, eq=False)
class WhitenedResidual:
    """The residual r of one spectrum or several, times the inverse of its covariance C = W^-1 + U U'.

    Attributes
    ----------
    filtered : (..., N), C^-1 r.
    weight : (..., N), the diagonal of W: inverse variance; 0 where masked.
    modes : (..., N, K), the whitened modes V: W^1/2 U L, L L' = (1 + U' W U)^-1. So
        C^-1 = W^1/2 (1 - V V') W^1/2 (Woodbury), and of a template t' C^-1 t = t' W t - |t' W^1/2 V|^2.
    reconstruction : (..., N), of the model.
    redshift : (...), float64.
    """

    filtered: Tensor
    weight: Tensor
    modes: Tensor
    reconstruction: Tensor
    redshift: Tensor

    def one(self) -> WhitenedResidual:
        """The only spectrum of a batch of one, without the batch's dimension."""
        return WhitenedResidual(*(getattr(self, each.name)[0] for each in fields(self)))

    @cached_property
    def root(self) -> Tensor:
        """(..., N), W^1/2."""
        return self.weight.sqrt()

    @property
    def weighted_modes(self) -> Tensor:
        """(..., N, K), W^1/2 V."""
        return self.root[..., None] * self.modes

    @cached_property
    def blocks(self) -> Sums:
        """Blocks of ``BLOCK`` neighbouring pixels."""
        modes = modes_in_blocks(self.modes, self.root, BLOCK)
        return Sums(in_blocks(self.filtered), in_blocks(self.weight), modes)

    @cached_property
    def bright_blocks(self) -> Sums:
        """Blocks for templates that are a share of the reconstruction, constant in each block."""
        bright = self.reconstruction
        return Sums(
            in_blocks(self.filtered * bright),
            in_blocks(self.weight * bright.square()),
            modes_in_blocks(self.modes, self.root * bright, BLOCK),
        )

    @cached_property
    def bright_running(self) -> Sums:
        """Sums over all bright blocks before each, those of modes in their own type, others in float64."""
        return running_sums(self.bright_blocks)


def in_blocks(values: Tensor, size: int = BLOCK) -> Tensor:
    """Sums over blocks of neighbouring pixels, (..., N) to (..., M); the last block may have fewer."""
    padded = nn.functional.pad(values, (0, -values.shape[-1] % size))
    return torch.unflatten(padded, -1, (-1, size)).sum(dim=-1)


def modes_in_blocks(modes: Tensor, weight: Tensor, size: int) -> Tensor:
    """Sums over blocks of pixels of modes (..., N, K) times a weight (..., N), (..., M, K)."""
    pixels = modes.shape[-2]
    count = -(-pixels // size)
    place = torch.arange(count * size, device=modes.device).clamp_(max=pixels - 1).view(count, size)
    # Of the last block what is beyond the end counts nothing.
    padded = nn.functional.pad(weight, (0, count * size - pixels))
    return picked(modes, place, torch.unflatten(padded, -1, (count, size)))


def picked(rows: Tensor, place: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums of some of the rows (..., N, K), in one pass over them, (..., T, K).

    Parameters
    ----------
    place, weight : which rows each sum takes, and how much of them, both (..., T, L) or, for all alike,
        (T, L).
    """
    count, columns = rows.shape[-2:]
    table = rows.reshape(-1, columns)
    first = count * torch.arange(len(table) // count, device=rows.device)
    shape = (*rows.shape[:-2], *place.shape[-2:])
    place = place.expand(shape) + first.view(*rows.shape[:-2], 1, 1)
    flat = (values.expand(shape).reshape(-1, shape[-1]) for values in (place, weight.to(rows.dtype)))
    index, share = flat
    sums = nn.functional.embedding_bag(index, table, per_sample_weights=share, mode="sum")
    return sums.view(*shape[:-1], columns)


def taken(values: Tensor, place: Tensor) -> Tensor:
    """Values (..., N) at places (T, L), the same of each spectrum, or (..., T, L) of its own, (..., T, L)."""
    shape = (*values.shape[:-1], *place.shape[-2:])
    # Not plain indexing: it takes several times as long.
    return torch.gather(values, -1, place.expand(shape).flatten(-2)).view(shape)


def of_blocks(values: Tensor, pixels: int, size: int = BLOCK) -> Tensor:
    """Every pixel's value of its block, (T, M) to (T, N)."""
    return values.repeat_interleave(size, dim=1)[:, :pixels]


def running(values: Tensor) -> Tensor:
    """Sums of all before, in float64, (..., M) to (..., M + 1)."""
    return nn.functional.pad(values.double().cumsum(dim=-1), (1, 0))


def running_sums(sums: Sums) -> Sums:
    """Sums over all bins before each, (M + 1, ...): those of modes in their own type, others in float64.

    Of so many modes the numbers of single precision are enough.
    """
    modes = nn.functional.pad(sums.modes, (0, 0, 1, 0)).cumsum(dim=-2)
    return Sums(running(sums.filtered), running(sums.weight), modes)


@dataclass(frozen=True, eq=False)
class Products:
    """What matched filters are made of: of T templates t, (..., T) each.

    Attributes
    ----------
    along : t' C^-1 r.
    full : t' W t.
    taken : what the modes take of it, |t' W^1/2 V|^2.
    misfit : standard deviation that the template's own misfit adds to the noise of ``along``.
    """

    along: Tensor
    full: Tensor
    taken: Tensor
    misfit: Tensor


def products(along: Tensor, full: Tensor, of_modes: Tensor) -> Products:
    """Of templates t: ``along`` and ``full``, see :class:`Products`, and t' W^1/2 V (..., T, K)."""
    return Products(along, full, squared(of_modes), torch.zeros_like(full))


def together(parts: Sequence[Products]) -> Products:
    """Those of all templates side by side."""
    columns = ([getattr(part, each.name) for part in parts] for each in fields(Products))
    return Products(*(torch.cat(column, dim=-1) for column in columns))


def squared(of_modes: Tensor) -> Tensor:
    """Squares of the lengths of rows, (..., T, K) to (..., T)."""
    lengths: Tensor = torch.linalg.vector_norm(of_modes, dim=-1)
    return lengths.square()


@dataclass(frozen=True, eq=False)
class Matched:
    """T matched filters, Neyman & Pearson's (1933) test for a template t of unknown strength.

    Attributes
    ----------
    significance : (..., T), t' C^-1 r / sqrt(t' C^-1 t), in sigma; 0 where not usable.
    norm : (..., T), sqrt(t' C^-1 t), and the misfit; 1 where not usable.
    usable : (..., T) bool, whether the spectrum could show the template.
    """

    significance: Tensor
    norm: Tensor
    usable: Tensor


LEAST_LEFT = 1e-3
"""Share of a template's information that must be left beside the modes; below it rounding is left."""


def matched(of: Products) -> Matched:
    """The filters of these products."""
    left = of.full - of.taken
    usable = (left > LEAST_LEFT * of.full) & (of.full > 0)
    norm = (left + of.misfit.square()).where(usable, left.new_ones(())).sqrt()
    return Matched((of.along / norm).where(usable, left.new_zeros(())), norm, usable)
