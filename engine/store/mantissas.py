"""Rounded mantissas: floats that compress well and that every reader takes as plain floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MANTISSA_BITS = 23
"""Explicit mantissa bits of an IEEE 754 binary32."""


def round_mantissas(values: NDArray[np.float32], keep_bits: int) -> NDArray[np.float32]:
    """``values`` with ``keep_bits`` explicit mantissa bits kept, to nearest, ties to even.

    The relative error of a normal number is at most ``2 ** -(keep_bits + 1)``; that of a subnormal
    one is at most that fraction of the smallest normal number. NaN and infinity stay what they are,
    and a number that would round up to infinity is cut instead. Integer arithmetic throughout, so
    the result is the same on every machine.
    """
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    drop = MANTISSA_BITS - keep_bits
    if drop <= 0:
        return bits.view(np.float32).copy()
    keep = np.uint32((0xFFFFFFFF << drop) & 0xFFFFFFFF)
    # Just under half a step, plus one when the last kept bit is odd: ties go to even.
    half = np.uint32((1 << (drop - 1)) - 1) + ((bits >> np.uint32(drop)) & np.uint32(1))
    exponent = np.uint32(0x7F800000)
    finite = (bits & exponent) != exponent
    rounded = np.where(finite, (bits + half) & keep, bits)
    overflowed = finite & ((rounded & exponent) == exponent)
    return np.where(overflowed, bits & keep, rounded).astype(np.uint32).view(np.float32)
