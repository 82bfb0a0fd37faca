"""Target classes of DESI: what a spectrum was targeted as, from bits in FIBERMAP.

Bits of DESI_TARGET: targetmask.yaml of https://github.com/desihub/desitarget. Those in :data:`CLASSES` mean
the same in the surveys SV1 to SV3.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.files.fits_file import UNDEFINED

TARGET_BITS = ("DESI_TARGET", "SV1_DESI_TARGET", "SV2_DESI_TARGET", "SV3_DESI_TARGET")
"""Columns with the bits; each is zero but in its own survey."""

CLASSES = {
    0: "LRG",
    1: "ELG",
    2: "QSO",
    32: "SKY",
    33: "STD_FAINT",
    34: "STD_WD",
    35: "STD_BRIGHT",
    60: "BGS_ANY",
    61: "MWS_ANY",
    62: "SCND_ANY",
}
"""Bits that name a class of targets."""


def target_classes(fibermap: Mapping[str, NDArray[Any]], count: int) -> list[str]:
    """The names of each row's classes, a space between, from the columns that FIBERMAP has."""
    bits = np.zeros(count, dtype=np.int64)
    for name in TARGET_BITS:
        if name in fibermap:
            bits |= np.where(fibermap[name] == UNDEFINED, 0, fibermap[name]).astype(np.int64)
    return [_names(each) for each in bits.tolist()]


@lru_cache(maxsize=4096)
def _names(bits: int) -> str:
    return " ".join(name for bit, name in CLASSES.items() if bits >> bit & 1)
