"""Unusual lines: emission that ordinary galaxies lack, at the source's redshift."""

from __future__ import annotations

import torch
from torch import Tensor

from models.causes.quantities import FEATURE
from models.causes.template_bank import LineBank
from models.causes.whitened import WhitenedResidual
from models.grid import WavelengthGrid

NARROW, WOLF_RAYET = 120.0, 900.0
"""Sigma, km/s: of gas as surveys resolve it, and of the winds of Wolf-Rayet stars."""
LINES = (
    3346.79, 3426.85,  # [Ne V]
    3759.99, 5160.33, 5722.30, 6088.66,  # [Fe VII]
    5304.34, 6376.30, 7894.04,  # [Fe XIV], [Fe X], [Fe XI]
    4364.44, 5756.24, 7327.38,  # [O III], [N II], [O II]: auroral
    4687.02, 8448.68,  # He II, O I
)  # fmt: skip
"""Narrow lines, rest wavelengths in vacuum (Angstrom, see ``models.lines``)."""
BUMPS = ((4660.0, 4641.94, 4650.65, 4687.02), (5808.27, 5808.27))
"""Middle, then lines, of the features of Wolf-Rayet stars (Brinchmann, Kunth & Durret 2008, A&A 485, 657)."""


class UnusualLines(LineBank):
    """A template for every narrow line, and for every bump."""

    sign = 1
    quantities = (FEATURE,)

    places: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        most = max(len(lines) for _, *lines in BUMPS)
        rows = [*([line] for line in LINES), *([*lines] for _, *lines in BUMPS)]
        centre = torch.ones(len(rows), most, dtype=torch.float64)
        height, sigma = torch.zeros(len(rows), most), torch.full((len(rows), most), NARROW)
        for number, lines in enumerate(rows):
            centre[number, : len(lines)] = torch.tensor(lines, dtype=torch.float64)
            height[number, : len(lines)] = 1.0
        sigma[len(LINES) :] = WOLF_RAYET
        super().__init__(grid, centre, sigma, height)
        places = torch.tensor([*LINES, *(middle for middle, *_ in BUMPS)], dtype=torch.float64)
        self.register_buffer("places", places, persistent=False)

    def values(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`: of every line or bump, observed."""
        return (self.places * (1 + spectrum.redshift))[:, None]
