"""Pixels: their memory, their masks, and the share of good ones.

Masks of real spectra are too irregular for a processor to predict: assignment under a mask waits for every
wrong guess, and costs several times what reading the pixels costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def new_pair(count: int, pixels: int) -> NDArray[np.float32]:
    """Zeros for the flux and ivar of ``count`` spectra, shape (2, count, pixels).

    They share one piece of memory, because NumPy asks for huge pages from 4 MiB on: a batch of 128 spectra
    reaches that with both. Getting each small page from the system would take a third of a reader's time.
    """
    return np.zeros((2, count, pixels), dtype=np.float32)


def keep(values: NDArray[np.float32], good: NDArray[np.bool_]) -> None:
    """Set ``values`` to 0 where they are not ``good``, whatever they are there; both of one shape."""
    bits = values.view(np.int32)
    bits *= good.view(np.int8)


def is_zero(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Where an integer mask is 0, which does not depend on its byte order."""
    return np.asarray(mask.view(mask.dtype.newbyteorder("=")) == 0)


def good_fraction(ivar: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of a row's pixels with ivar > 0. Shape (n,) for ``ivar`` of shape (n, pixels)."""
    good = [np.count_nonzero(row > 0) for row in ivar]
    share: NDArray[np.float64] = np.array(good, dtype=np.float64) / ivar.shape[1]
    return share.astype(np.float32)
