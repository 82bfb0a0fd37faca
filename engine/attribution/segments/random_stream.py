"""Random stream: the source of everything random in methods on segments."""

from __future__ import annotations

import numpy as np


def random_stream(seed: int) -> np.random.RandomState:
    """The generator of a seed: of all of NumPy's, and of the published code's, the one that never changes."""
    return np.random.RandomState(seed)
