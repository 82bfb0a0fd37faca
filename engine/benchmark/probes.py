"""Probes: changes of a spectrum that do not depend on any map, made once and asked of every map.

Mu-fidelity (Bhatt et al. 2020, arXiv 2005.00631) asks whether what a map gives random sets of pixels goes
with what the score loses without them. Infidelity (Yeh et al. 2019, arXiv 1901.09392) asks whether it is what
the score loses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.benchmark.removal import Floats, Removal

SETS = 64
SEGMENT = 32
"""Pixels that a set takes or leaves together: single ones among others would say little to any model."""
TAKEN = 0.2
"""Share of the segments in a set."""
WIDEST = 1024
"""Pixels of the widest window."""


@dataclass(frozen=True, eq=False)
class Probes:
    """Of one spectrum.

    Attributes
    ----------
    sets, windows : (P, N) bool, good pixels that are removed together: random segments, one window each.
    lost_sets, lost_windows : (P,), what the score loses without them, as a share of its rise.
    """

    sets: NDArray[np.bool_]
    windows: NDArray[np.bool_]
    lost_sets: NDArray[np.float64]
    lost_windows: NDArray[np.float64]

    @classmethod
    def of(cls, removal: Removal, seed: int) -> Probes:
        """Drawn with ``seed``."""
        random = np.random.Generator(np.random.PCG64(seed))
        sets = random_sets(random, removal.good)
        windows = random_windows(random, removal.good)
        return cls(sets, windows, 1 - removal.left(sets), 1 - removal.left(windows))

    def measures(self, attribution: Floats) -> dict[str, float]:
        """Mu-fidelity and infidelity of a map (N,)."""
        values = attribution.astype(np.float64)
        return {
            "mu_fidelity": correlation(self.sets @ values, self.lost_sets),
            "infidelity": infidelity(self.windows @ values, self.lost_windows),
        }


def random_sets(random: np.random.Generator, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Sets of a fifth of all segments, (P, N); at least one segment each."""
    segments = -(-len(good) // SEGMENT)
    taken = max(1, round(TAKEN * segments))
    chosen = random.random((SETS, segments)).argsort(axis=1) < taken
    return np.repeat(chosen, SEGMENT, axis=1)[:, : len(good)] & good


def random_windows(random: np.random.Generator, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Windows anywhere, as wide as you like: uniform in the logarithm of the width, (P, N)."""
    widest = min(WIDEST, len(good))
    width = np.exp(random.uniform(0, np.log(widest), SETS)).astype(np.int64)
    start = random.integers(0, len(good) - width + 1)
    pixel = np.arange(len(good))
    return (pixel >= start[:, None]) & (pixel < (start + width)[:, None]) & good


def correlation(given: NDArray[np.float64], lost: NDArray[np.float64]) -> float:
    """Pearson's, of (P,) and (P,); 0 where the map gives every set the same, NaN where nothing is lost."""
    if not np.isfinite(lost).all() or np.ptp(lost) == 0:
        return float("nan")
    if np.ptp(given) == 0:
        return 0.0
    return float(np.corrcoef(given, lost)[0, 1])


def infidelity(given: NDArray[np.float64], lost: NDArray[np.float64]) -> float:
    """Square error of ``given`` times a factor, over the square of ``lost``: 0 is exact, 1 says nothing.

    The factor is the best one, since maps of different methods have different units.
    """
    total = float(lost @ lost)
    if not total > 0:
        return float("nan")
    own = float(given @ given)
    return 1.0 if own == 0 else 1 - float(given @ lost) ** 2 / (own * total)
