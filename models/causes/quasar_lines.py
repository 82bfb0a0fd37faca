"""Quasar lines: broad emission at a redshift that is not the source's, of another class of object."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.causes.gas_lines import SPEED_OF_LIGHT
from models.causes.quantities import REDSHIFT
from models.causes.template_bank import BoxBank, block_wavelengths
from models.causes.whitened import Products, WhitenedResidual, of_blocks, products, running_sums
from models.grid import WavelengthGrid
from models.lines import LINES

_LARGEST = 5.0
"""Redshift."""
_STEP = 1500.0
"""Distance of the redshifts, km/s."""
_HALF_WIDTH = 3000.0
"""Half of a line's box, km/s."""
_OWN = 0.03
"""Distance in ln(1 + z) from the source's own redshift below which lines are its own: 9,000 km/s."""
_STRONG = 4.0
"""Least flux of a line, Lyα = 100 (Vanden Berk et al. 2001, AJ 122, 549)."""


class QuasarLines(BoxBank):
    """Boxes at the strong broad lines of every redshift, of one set of fluxes."""

    sign = 1
    quantities = (REDSHIFT,)

    log_redshift: Tensor
    height: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        super().__init__()
        log_redshift = torch.arange(0.0, math.log1p(_LARGEST), _STEP / SPEED_OF_LIGHT, dtype=torch.float64)
        lines = [line for line in LINES if line.broad >= _STRONG]
        rest = torch.tensor([line.wavelength for line in lines], dtype=torch.float64)
        log_blocks = block_wavelengths(grid).log()
        log_place = log_redshift[:, None] + rest.log()
        reach = _HALF_WIDTH / SPEED_OF_LIGHT
        starts, stops = (torch.searchsorted(log_blocks, log_place + side) for side in (-reach, reach))
        self.register_buffer("log_redshift", log_redshift, persistent=False)
        self.register_buffer("starts", starts, persistent=False)
        self.register_buffer("stops", stops, persistent=False)
        height = torch.tensor([line.broad for line in lines], dtype=torch.float64) * (5000.0 / rest)
        self.register_buffer("height", (height / 30.0).float(), persistent=False)

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        sums, kind = running_sums(spectrum.blocks), spectrum.weight.dtype
        height = self.height.double()
        along = self.boxes(sums.filtered) @ height
        other = (self.log_redshift - torch.log1p(spectrum.redshift)[..., None]).abs() > _OWN
        full = self.boxes(sums.weight) @ height.square() * other
        return products(along.to(kind), full.to(kind), self.boxes_together(sums.modes, height))

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        kind, pixels = spectrum.weight.dtype, len(spectrum.weight)
        inside = self.inside(chosen, spectrum)
        drawn: Tensor = of_blocks((inside * self.height.to(kind)[:, None]).sum(dim=1), pixels)
        return drawn

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`."""
        return torch.expm1(self.log_redshift)[:, None]
