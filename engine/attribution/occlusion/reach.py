"""Reach of a local layer: which pixels a position sees, and which positions a piece of spectrum touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Reach:
    """Position k sees pixels ``stride * k - before`` to ``stride * k + after``, both included.

    Between pixels p - 1 and p lies seam p. A position *straddles* a seam if it sees both sides of it.
    """

    stride: int = 1
    before: int = 0
    after: int = 0

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> Self:
        """The reach after a layer that looks at ``kernel`` positions of this one."""
        return type(self)(
            self.stride * stride,
            self.before + self.stride * padding,
            self.after + self.stride * ((kernel - 1) * dilation - padding),
        )

    @property
    def field(self) -> int:
        """Number of pixels a position sees (the receptive field)."""
        return self.before + self.after + 1

    def first(self, pixel: int) -> int:
        """The first position that sees ``pixel`` or one after it; where a seam at ``pixel`` begins."""
        return -((self.after - pixel) // self.stride)

    def last(self, pixel: int) -> int:
        """The last position that sees ``pixel`` or one before it."""
        return (pixel + self.before) // self.stride
