"""Random draws of methods of attribution: the same from a seed on every device."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

NoiseLaw = Literal["normal", "ball"]


def normal(seed: int, rows: int, like: Tensor) -> Tensor:
    """(rows, N) independent standard normal numbers, float64, on the device of ``like`` (N,)."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, len(like), generator=random, dtype=torch.float64).to(like.device)


def uniform(seed: int, rows: int, columns: int, device: torch.device) -> Tensor:
    """(rows, columns) independent numbers from 0 to 1, float64."""
    random = torch.Generator().manual_seed(seed)
    return torch.rand(rows, columns, generator=random, dtype=torch.float64).to(device)


def noise(seed: int, rows: int, law: NoiseLaw, deviation: Tensor) -> Tensor:
    """(rows, N) draws of noise of standard deviations (N,); nothing where that is 0.

    ``normal``: each pixel by itself. ``ball``: uniform within an ellipsoid whose axes are the square root of
    the number of pixels, plus two, times the deviations: so each pixel has its own. In so many dimensions
    that is nearly the ellipsoid's surface.
    """
    drawn = normal(seed, rows, deviation)
    if law == "normal":
        return drawn * deviation
    seen = (deviation > 0).to(drawn.dtype)
    dimensions = float(seen.sum())
    direction = drawn * seen
    direction = direction / direction.norm(dim=1, keepdim=True).clamp_min(1e-300)
    # The part of the volume within a radius is its power of the dimension.
    radius = uniform(seed + 1, rows, 1, drawn.device) ** (1 / max(dimensions, 1.0))
    found: Tensor = direction * radius * math.sqrt(dimensions + 2) * deviation
    return found
