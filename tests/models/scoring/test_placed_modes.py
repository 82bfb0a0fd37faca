"""Modes on pixels: products over the rest frame equal those of interpolated modes."""

from __future__ import annotations

import torch

from models.scoring.placed_modes import PlacedModes


def test_products_equal_those_of_interpolated_modes() -> None:
    """Pixels finer and coarser than the rest frame, out of it at one end, and masked."""
    generator = torch.Generator().manual_seed(0)
    modes = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    place = torch.stack([torch.linspace(3, 30, 90), torch.linspace(5, 70, 90).clamp(max=58.9)]).double()
    left = place.floor().long()
    fraction = place - left
    weight = torch.rand(2, 90, generator=generator, dtype=torch.float64) * (torch.arange(90) % 7 > 0)
    matrix = torch.randn(2, 3, 2, generator=generator, dtype=torch.float64)
    placed = PlacedModes(modes, left, fraction)
    between = modes[left] * (1 - fraction)[..., None] + modes[left + 1] * fraction[..., None]
    torch.testing.assert_close(placed.gram(weight), between.mT @ (weight[..., None] * between))
    torch.testing.assert_close(placed.times(matrix, weight), weight[..., None] * (between @ matrix))
