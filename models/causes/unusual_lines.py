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
GROUPS = (
    ("[Ne V]", (3346.79, 3426.85), NARROW),
    ("[Fe VII]", (3759.99, 5160.33, 5722.30, 6088.66), NARROW),
    ("[Fe X]", (6376.30,), NARROW),
    ("[Fe XI]", (7894.04,), NARROW),
    ("[Fe XIV]", (5304.34,), NARROW),
    ("[O III] 4364", (4364.44,), NARROW),
    ("[N II] 5756", (5756.24,), NARROW),
    ("[O II] 7327", (7327.38,), NARROW),
    ("He II 4687", (4687.02,), NARROW),
    ("O I 8449", (8448.68,), NARROW),
    ("Wolf-Rayet blue bump", (4641.94, 4650.65, 4687.02), WOLF_RAYET),
    ("Wolf-Rayet red bump", (5808.27,), WOLF_RAYET),
)
"""Name, rest wavelengths in vacuum (Angstrom, see ``models.lines``), sigma (km/s): coronal, auroral and
recombination lines, and the features of Wolf-Rayet stars (Brinchmann, Kunth & Durret 2008, A&A 485, 657)."""


class UnusualLines(LineBank):
    """A template for every group."""

    sign = 1
    quantities = (FEATURE,)

    places: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        most = max(len(places) for _, places, _ in GROUPS)
        centre = torch.ones(len(GROUPS), most, dtype=torch.float64)
        height = torch.zeros(len(GROUPS), most)
        sigma = torch.ones(len(GROUPS), most)
        for row, (_, places, width) in enumerate(GROUPS):
            centre[row, : len(places)] = torch.tensor(places, dtype=torch.float64)
            height[row, : len(places)] = 1.0
            sigma[row] = width
        super().__init__(grid, centre, sigma, height)
        first = torch.tensor([places[0] for _, places, _ in GROUPS], dtype=torch.float64)
        self.register_buffer("places", first, persistent=False)

    def values(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`: the first line of every group, observed."""
        return (self.places * (1 + spectrum.redshift))[:, None]
