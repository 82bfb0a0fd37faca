"""Names of spectral lines above a spectrum, moved apart until none overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.lines import LINES, Line


def lines_within(first: float, last: float, redshift: float) -> tuple[tuple[Line, float], ...]:
    """Lines whose observed wavelength lies in [first, last] Angstrom, with that wavelength, ascending."""
    observed = [(line, line.wavelength * (1.0 + redshift)) for line in LINES]
    return tuple(sorted((pair for pair in observed if first <= pair[1] <= last), key=lambda pair: pair[1]))


def spread_apart(
    positions: NDArray[np.float64], gap: float, first: float, last: float
) -> NDArray[np.float64]:
    """Positions nearest to ``positions`` (ascending) that are ``gap`` apart and within [first, last].

    Least squares: with ``gap`` times the index taken off, the constraint is that positions do not
    fall, which pooling adjacent violators solves exactly. Where all do not fit, they are evenly spaced.
    """
    count = len(positions)
    if count == 0:
        return np.empty(0)
    if (count - 1) * gap >= last - first:
        return np.linspace(first, last, count)
    steps = gap * np.arange(count)
    pools: list[tuple[float, int]] = []
    for value in np.asarray(positions, dtype=np.float64) - steps:
        mean, size = float(value), 1
        while pools and pools[-1][0] >= mean:
            before, members = pools.pop()
            mean = (before * members + mean * size) / (members + size)
            size += members
        pools.append((mean, size))
    level = np.repeat([mean for mean, _ in pools], [size for _, size in pools])
    return np.asarray(np.clip(level, first, last - steps[-1]) + steps)
