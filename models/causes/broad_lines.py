"""Broad lines: Balmer lines and Mg II, displaced in velocity."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from models.causes.gas_lines import SPEED_OF_LIGHT
from models.causes.quantities import VELOCITY, WIDTH
from models.causes.template_bank import BroadLineBank
from models.causes.whitened import WhitenedResidual
from models.grid import WavelengthGrid

WIDTHS = (3000.0, 4300.0, 6200.0)
"""Full width at half maximum, km/s."""
SHIFTS = (-5500.0, -4000.0, -2800.0, -1900.0, -900.0, 0.0, 900.0, 1900.0, 2800.0, 4000.0, 5500.0)
"""Velocity against the source, km/s."""
_SETS = (
    ((6564.61, 3.1), (4862.68, 1.0), (4341.68, 0.45)),
    ((2799.12, 1.0), (2799.12, 0.0), (2799.12, 0.0)),
)
"""Rest wavelength (vacuum, Angstrom), flux: Hα, Hβ, Hγ (Vanden Berk et al. 2001, AJ 122, 549), and Mg II."""
_FULL_WIDTH = 2.3548


class BroadLines(BroadLineBank):
    """Gaussians of every set, width and velocity."""

    sign = 1
    quantities = (VELOCITY, WIDTH)

    measures: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        centre, sigma, height, measures = [], [], [], []
        for lines, width, shift in itertools.product(_SETS, WIDTHS, SHIFTS):
            centre.append([place * (1 + shift / SPEED_OF_LIGHT) for place, _ in lines])
            sigma.append([width / _FULL_WIDTH] * len(lines))
            height.append([5000.0 / place * flux for place, flux in lines])
            measures.append([shift, width])
        super().__init__(
            grid, torch.tensor(centre, dtype=torch.float64), torch.tensor(sigma), torch.tensor(height)
        )
        self.register_buffer("measures", torch.tensor(measures), persistent=False)

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`."""
        return self.measures
