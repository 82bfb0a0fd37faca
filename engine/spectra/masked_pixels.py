"""Masked pixels: how many pixels of each spectrum the mask of its file drops, and for which bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BITS = 64
NO_MASK = -1
"""Pixels dropped where the file has no mask."""


@dataclass(frozen=True, slots=True)
class MaskedPixels:
    """Counts of n spectra.

    Attributes
    ----------
    pixels : (n,) int32, pixels of the file that the mask drops, whatever their flux and ivar; -1 without
        a mask.
    by_bit : (n, 64) int32, the same of each bit alone. A pixel counts for every bit that it has.
    """

    pixels: NDArray[np.int32]
    by_bit: NDArray[np.int32]

    @classmethod
    def empty(cls, count: int) -> MaskedPixels:
        """``count`` spectra without a mask."""
        return cls(np.full(count, NO_MASK, dtype=np.int32), np.zeros((count, _BITS), dtype=np.int32))

    def rows(self, chosen: slice) -> MaskedPixels:
        """The spectra ``chosen``, as views."""
        return MaskedPixels(self.pixels[chosen], self.by_bit[chosen])

    def add(self, mask: NDArray[Any], clear: NDArray[np.bool_]) -> None:
        """Count the pixels of ``mask``, integers (n, pixels), that are not ``clear`` (same shape).

        Bits that drop no pixel must be 0 in ``mask``. Few pixels are dropped: only these are looked at.
        """
        np.maximum(self.pixels, 0, out=self.pixels)
        if clear.all():
            return
        row, pixel = np.divmod(np.flatnonzero(~clear), clear.shape[1])
        self.pixels[:] += np.bincount(row, minlength=len(self.pixels)).astype(np.int32)
        bits = mask[row, pixel].astype(np.int64)
        for bit in range(8 * mask.dtype.itemsize):
            has = (bits >> bit) & 1 == 1
            if has.any():
                self.by_bit[:, bit] += np.bincount(row[has], minlength=len(self.pixels)).astype(np.int32)

    def fill(self, data: NDArray[np.void], names: Mapping[int, str]) -> None:
        """Fill the columns ``masked_pixels`` and ``masked_by`` of rows; ``names`` are those of the bits."""
        data["masked_pixels"] = self.pixels
        data["masked_by"] = [_text(counts, names) for counts in self.by_bit]


def _text(counts: NDArray[np.int32], names: Mapping[int, str]) -> str:
    """``BRIGHTSKY=117 NODATA=3``: the bits of one spectrum, the bit of most pixels first."""
    found = sorted(np.flatnonzero(counts).tolist(), key=lambda bit: (-counts[bit], bit))
    return " ".join(f"{names.get(bit, f'bit{bit}')}={counts[bit]}" for bit in found)
