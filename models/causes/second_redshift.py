"""A second redshift: emission lines of another galaxy in the same fibre."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.causes.gas_lines import GAS_FLUXES, GAS_LINES, SPEED_OF_LIGHT
from models.causes.quantities import REDSHIFT
from models.causes.template_bank import TemplateBank
from models.causes.whitened import Products, WhitenedResidual, running, taken
from models.grid import WavelengthGrid

_LARGEST = 1.2
"""Redshift."""
_STEP = 120.0
"""Distance of the redshifts, km/s."""
_HALF_WIDTH = 115.0
"""Half of a line's box, km/s: 1.2 sigma of 75 km/s of gas seen at a resolution of 2,000."""
_OWN = 0.004
"""Distance in ln(1 + z) from the source's own redshift below which lines are its own: 1,200 km/s."""


class SecondRedshift(TemplateBank):
    """Boxes at the lines of every redshift, for each of the sets of fluxes."""

    sign = 1
    quantities = (REDSHIFT,)

    log_redshift: Tensor
    first: Tensor
    stop: Tensor
    height: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        super().__init__()
        log_redshift = torch.arange(0.0, math.log1p(_LARGEST), _STEP / SPEED_OF_LIGHT, dtype=torch.float64)
        rest = torch.tensor([place for _, place in GAS_LINES], dtype=torch.float64)
        place = torch.exp(log_redshift)[:, None] * rest
        reach = _HALF_WIDTH / SPEED_OF_LIGHT
        low, high = (torch.from_numpy(grid.pixel((place * (1 + side)).numpy())) for side in (-reach, reach))
        inside = (low >= 0) & (high <= grid.size - 1)
        first = low.round().long().clamp(0, grid.size - 1)
        stop = (high.round().long() + 1).clamp(1, grid.size)
        self.register_buffer("log_redshift", log_redshift, persistent=False)
        # A line outside of the grid has no pixels.
        self.register_buffer("first", torch.where(inside, first, 0), persistent=False)
        self.register_buffer("stop", torch.where(inside, stop, 0), persistent=False)
        fluxes = torch.tensor(GAS_FLUXES, dtype=torch.float64) * (5000.0 / rest)
        self.register_buffer("height", fluxes.float(), persistent=False)

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        height = self.height.to(spectrum.weight.dtype)
        along = self._in_boxes(spectrum.filtered) @ height.T
        full = self._in_boxes(spectrum.weight) @ height.square().T
        other = (self.log_redshift - torch.log1p(spectrum.redshift)[..., None]).abs() > _OWN
        full = (full * other[..., None]).flatten(-2)
        # The modes take hardly anything of lines so narrow, 2 % of the norm in the median (of one template in
        # forty more than a tenth): what they take is not looked up.
        nothing = torch.zeros_like(full)
        return Products(along.flatten(-2), full, nothing, nothing)

    def _in_boxes(self, values: Tensor) -> Tensor:
        """Sums over the boxes, (..., N) to (..., Z, L)."""
        sums = running(values)
        return (taken(sums, self.stop) - taken(sums, self.first)).to(values.dtype)

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        sets = len(self.height)
        which, fluxes = chosen // sets, chosen % sets
        pixel = torch.arange(len(spectrum.weight), device=chosen.device)
        rows = spectrum.weight.new_zeros(len(chosen), len(pixel))
        for line in range(self.first.shape[1]):
            first, stop = self.first[which, line], self.stop[which, line]
            inside = (pixel >= first[:, None]) & (pixel < stop[:, None])
            rows += inside * self.height[fluxes, line].to(rows.dtype)[:, None]
        return rows

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`."""
        return torch.expm1(self.log_redshift).repeat_interleave(len(self.height))[:, None]
