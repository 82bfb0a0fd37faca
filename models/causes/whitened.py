"""A whitened residual: what a matched filter needs of one spectrum."""

from __future__ import annotations

from dataclasses import dataclass
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
    filtered : (M,), of C^-1 r; weight : (M,), of W; weighted_modes : (M, K), of W U.
    """

    filtered: Tensor
    weight: Tensor
    weighted_modes: Tensor


@dataclass(frozen=True, eq=False)
class WhitenedResidual:
    """The residual r of one spectrum, times the inverse of its covariance C = W^-1 + U U'.

    Attributes
    ----------
    filtered : (N,), C^-1 r.
    weight : (N,), the diagonal of W: inverse variance; 0 where masked.
    weighted_modes : (N, K), W U.
    gain : (K, K), (1 + U' W U)^-1: C^-1 = W - W U gain U' W (Woodbury).
    reconstruction : (N,), of the model.
    redshift : (), float64.
    """

    filtered: Tensor
    weight: Tensor
    weighted_modes: Tensor
    gain: Tensor
    reconstruction: Tensor
    redshift: Tensor

    @property
    def pixels(self) -> Sums:
        """Every pixel by itself."""
        return Sums(self.filtered, self.weight, self.weighted_modes)

    @cached_property
    def blocks(self) -> Sums:
        """Blocks of ``BLOCK`` neighbouring pixels."""
        return Sums(in_blocks(self.filtered), in_blocks(self.weight), in_blocks(self.weighted_modes))

    @cached_property
    def bright_blocks(self) -> Sums:
        """Blocks for templates that are a share of the reconstruction, constant in each block."""
        bright = self.reconstruction
        return Sums(
            in_blocks(self.filtered * bright),
            in_blocks(self.weight * bright.square()),
            in_blocks(self.weighted_modes * bright[:, None]),
        )

    @cached_property
    def bright_running(self) -> Sums:
        """Sums over all bright blocks before each, (M + 1, ...) float64."""
        sums = self.bright_blocks
        return Sums(running(sums.filtered), running(sums.weight), running(sums.weighted_modes))


def in_blocks(values: Tensor, size: int = BLOCK) -> Tensor:
    """Sums over blocks of neighbouring pixels, (N, ...) to (M, ...); the last block may have fewer."""
    count = len(values) // size
    whole: Tensor = values[: count * size].reshape(count, size, *values.shape[1:]).sum(dim=1)
    if not len(values) % size:
        return whole
    return torch.cat((whole, values[count * size :].sum(dim=0, keepdim=True)))


def of_blocks(values: Tensor, pixels: int, size: int = BLOCK) -> Tensor:
    """Every pixel's value of its block, (T, M) to (T, N)."""
    return values.repeat_interleave(size, dim=1)[:, :pixels]


def running(values: Tensor) -> Tensor:
    """Sums of all before, in float64, (M, ...) to (M + 1, ...)."""
    sums = values.double().cumsum(dim=0)
    return nn.functional.pad(sums, (0,) * (2 * values.dim() - 2) + (1, 0))


@dataclass(frozen=True, eq=False)
class Matched:
    """T matched filters, Neyman & Pearson's (1933) test for a template t of unknown strength.

    Attributes
    ----------
    significance : (T,), t' C^-1 r / sqrt(t' C^-1 t), in sigma; 0 where not usable.
    norm : (T,), sqrt(t' C^-1 t); 1 where not usable.
    usable : (T,) bool, whether the spectrum could show the template.
    """

    significance: Tensor
    norm: Tensor
    usable: Tensor


LEAST_LEFT = 1e-3
"""Share of a template's information that must be left beside the modes; below it rounding is left."""


def matched(along: Tensor, full: Tensor, along_modes: Tensor, spectrum: WhitenedResidual) -> Matched:
    """Of templates t: ``along`` t' C^-1 r (T,), ``full`` t' W t (T,), ``along_modes`` t' W U (T, K).

    No modes (T, 0) take nothing.
    """
    kept = along_modes.shape[1]
    left = full - ((along_modes @ spectrum.gain[:kept, :kept]) * along_modes).sum(dim=1)
    usable = (left > LEAST_LEFT * full) & (full > 0)
    norm = left.where(usable, left.new_ones(())).sqrt()
    return Matched((along / norm).where(usable, along.new_zeros(())), norm, usable)
