"""Removal curves: what becomes of a score while pixels are removed in the order of a map.

Insertion and deletion follow Petsiuk et al. 2018 (arXiv 1806.07421). There, what raises a score and what
lowers it cancel. CPD and CPP (Jang et al. 2025, arXiv 2506.05035) add up every move of the score, whichever
way. All numbers are in units of the score's rise, see :mod:`engine.benchmark.removal`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.benchmark.removal import Floats, Removal

STEPS = 16
"""Of a whole curve. They lie close together at its beginning, where most of it happens."""
MOVED_SHARE = 0.1
"""Of the pixels, which CPD and CPP remove."""
MOVED_STEPS = 10


def curve_measures(attribution: Floats, removal: Removal) -> dict[str, float]:
    """Insertion, deletion, CPD and CPP of a map (N,)."""
    pixels = int(removal.good.sum())
    whole, moved = counts(pixels, STEPS), counts(round(MOVED_SHARE * pixels), MOVED_STEPS)
    highest, largest = order(attribution, removal.good), order(np.abs(attribution), removal.good)
    deleted = left_after(removal, highest, whole)
    # To put the first k back is to remove all others: the last n - k.
    inserted = left_after(removal, highest[::-1], pixels - whole[::-1])[::-1]
    share = whole / pixels
    return {
        "deletion": float(np.trapezoid(deleted, share)),
        "insertion": float(np.trapezoid(inserted, share)),
        "cpd": moves(left_after(removal, largest, moved)),
        "cpp": moves(left_after(removal, largest[::-1], moved)),
    }


def order(values: Floats, good: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Good pixels, the highest first, the bluest of equals first."""
    pixels = np.flatnonzero(good)
    return pixels[np.argsort(-values[pixels], kind="stable")]


def counts(pixels: int, steps: int) -> NDArray[np.int64]:
    """Increasing numbers of pixels, 0 to ``pixels``, at most ``steps`` + 1: roots evenly spaced."""
    return np.unique(np.rint(pixels * (np.arange(steps + 1) / steps) ** 2).astype(np.int64))


def left_after(removal: Removal, order: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares of the rise left when the first pixels of ``order`` are removed, so many each time, (K,)."""
    removed = np.zeros((len(counts), len(removal.flux)), dtype=np.bool_)
    for row, count in zip(removed, counts.tolist(), strict=True):
        row[order[:count]] = True
    return removal.left(removed)


def moves(left: NDArray[np.float64]) -> float:
    """How far a score moves along a curve (K,), up and down together."""
    return float(np.abs(np.diff(left)).sum())
