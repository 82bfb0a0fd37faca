"""Paths: mean gradients of the score along straight paths, as closely as is asked.

What the score gains from one end of a piece to the other is known from two forward passes. The gradient times
the way must add up to it. A piece where it does not is cut in two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.attribution.memory import spectra_at_once
from engine.attribution.subject import Subject

_NODES = (0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5)
"""Gauss-Legendre nodes in a piece from 0 to 1: exact for cubic slopes, with equal weights."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How closely paths are followed.

    Attributes
    ----------
    pieces : equal pieces of every path to begin with; two gradients each.
    most : pieces of a path, in the mean, beyond which none is cut again.
    tolerance : share of the mean gain of the paths that may be missed in all.
    """

    pieces: int
    most: int
    tolerance: float


@dataclass(frozen=True, eq=False)
class _Pieces:
    """I pieces of paths: number of the path, begin and end as shares of the way, (I,) each."""

    path: Tensor
    low: Tensor
    high: Tensor

    def __len__(self) -> int:
        return len(self.path)

    @property
    def width(self) -> Tensor:
        """(I,), shares of the way."""
        return self.high - self.low

    def take(self, chosen: Tensor | slice) -> _Pieces:
        """Some of them."""
        return _Pieces(self.path[chosen], self.low[chosen], self.high[chosen])

    def split(self, count: int) -> tuple[_Pieces, _Pieces]:
        """The first ``count`` pieces, and all others."""
        return self.take(slice(None, count)), self.take(slice(count, None))

    def and_then(self, more: _Pieces) -> _Pieces:
        """These pieces, and more."""
        pairs = ((self.path, more.path), (self.low, more.low), (self.high, more.high))
        return _Pieces(*(torch.cat(pair) for pair in pairs))

    def halves(self) -> _Pieces:
        """Twice as many, of half the width."""
        middle = 0.5 * (self.low + self.high)
        return _Pieces(self.path.repeat(2), torch.cat((self.low, middle)), torch.cat((middle, self.high)))


def path_gradients(subject: Subject, starts: Tensor, ways: Tensor, effort: Effort) -> Tensor:
    """Mean gradients (P, N) along paths from starts (P, N) over ways (P, N), all float64."""
    count = len(starts)
    ends = subject.log_probs(torch.cat((starts, starts + ways)))
    allowed = effort.tolerance * (ends[:count] - ends[count:]).mean().abs()
    at_once = spectra_at_once(subject.memory_bytes, subject.gradient_floats_per_pixel, starts.shape[1])
    room = count * (effort.most - effort.pieces)
    waiting = _equal_pieces(count, effort.pieces, starts.device)
    found = torch.zeros_like(ways)
    while len(waiting):
        pieces, waiting = waiting.split(max(at_once // 2, 1))
        slopes, missed = _followed(subject, starts, ways, pieces)
        # Misses of both signs add up like noise: so many of this size miss half of what is allowed.
        wrong = missed > 0.5 * allowed * (count * pieces.width).sqrt()
        cut = wrong & (2 * wrong.cumsum(0) <= room)
        room -= 2 * int(cut.sum())
        found.index_add_(0, pieces.path[~cut], (slopes * pieces.width[:, None])[~cut])
        waiting = waiting.and_then(pieces.take(cut).halves())
    return found


def _equal_pieces(paths: int, pieces: int, device: torch.device) -> _Pieces:
    borders = torch.linspace(0, 1, pieces + 1, dtype=torch.float64, device=device)
    path = torch.arange(paths, device=device).repeat_interleave(pieces)
    return _Pieces(path, borders[:-1].repeat(paths), borders[1:].repeat(paths))


def _followed(subject: Subject, starts: Tensor, ways: Tensor, pieces: _Pieces) -> tuple[Tensor, Tensor]:
    """Mean gradients (I, N) in pieces, and by how much (I,) they miss what the score gains."""

    def points(share: Tensor) -> Tensor:
        return starts[pieces.path] + share[:, None] * ways[pieces.path]

    nodes = torch.cat([points(pieces.low + node * pieces.width) for node in _NODES])
    slopes = subject.gradient(nodes).view(len(_NODES), len(pieces), -1).mean(dim=0)
    ends = subject.log_probs(torch.cat((points(pieces.low), points(pieces.high))))
    gain = ends[: len(pieces)] - ends[len(pieces) :]
    return slopes, ((slopes * ways[pieces.path]).sum(dim=1) * pieces.width - gain).abs()
