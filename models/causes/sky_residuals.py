"""Sky residuals: lines of the night sky left over, taken off twice, or shifted, in one interval."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.causes.quantities import WAVELENGTH
from models.causes.template_bank import SparseBank
from models.causes.whitened import WhitenedResidual
from models.grid import WavelengthGrid
from models.sky_lines import SKY_LINES

_INTERVAL, _STEP = 1000.0, 500.0
"""Angstrom, of wavelength: how much of the sky is wrong together, and how far apart intervals begin."""
_LEAST = 10.0
"""Area of a line, in Angstrom of the sky's continuum, below which its residual cannot be seen."""
_LEAST_SHARE = 0.15
"""Of the brightest line of an interval."""
_PIXELS = 0.95
"""Sigma of an unresolved line in pixels of coadds, which sample it as finely as they must."""
_REACH = 3.5
_SHIFTED = 1.65
"""Makes the derivative of a Gaussian as large as the Gaussian."""
_MIXTURES = ((1.0, 0.0), (0.7, 0.7), (0.7, -0.7), (0.0, 1.0))
"""Shares of a wrong level and of a wrong wavelength."""


class SkyResiduals(SparseBank):
    """The root of a line's light, as its noise goes, for all bright lines of an interval."""

    quantities = (WAVELENGTH,)

    middle: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        wavelength = torch.from_numpy(grid.wavelength())
        pixel = torch.arange(grid.size, dtype=torch.float64)
        rows, middles = [], []
        start = _STEP * (float(wavelength[0]) // _STEP)
        while start < float(wavelength[-1]):
            lines = [line for line in SKY_LINES if start <= line[0] < start + _INTERVAL and line[1] >= _LEAST]
            level, shift = torch.zeros_like(pixel), torch.zeros_like(pixel)
            brightest = max((area for _, area in lines), default=0.0)
            for place, area in lines:
                if area < _LEAST_SHARE * brightest:
                    continue
                offset = (pixel - float(grid.pixel(place))) / _PIXELS
                profile = (area / brightest) ** 0.5 * torch.exp(-0.5 * offset.square())
                profile[offset.abs() > _REACH] = 0.0
                level += profile
                shift += _SHIFTED * offset * profile
            if bool(level.any()):
                rows += [a * level + b * shift for a, b in _MIXTURES]
                middles += [start + 0.5 * _INTERVAL] * len(_MIXTURES)
            start += _STEP
        # Where the grid sees no sky line, one template that no spectrum can show.
        found = torch.stack(rows) if rows else torch.zeros(1, grid.size)
        super().__init__(found.float())
        middle = torch.tensor(middles or [math.nan], dtype=torch.float64)
        self.register_buffer("middle", middle, persistent=False)

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`: the middle of every template's interval."""
        return self.middle[:, None]
