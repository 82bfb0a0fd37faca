"""Calibration waves: flux calibration that is wrong smoothly, as a slope or in waves of the wavelength."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.causes.template_bank import BrightBlockBank, block_wavelengths
from models.causes.whitened import WhitenedResidual
from models.grid import WavelengthGrid

COUNT = 16
"""Waves; the first is half a wave long, the last eight waves."""


class CalibrationWaves(BrightBlockBank):
    """Cosines over the grid, times the reconstruction: they make up whatever is smooth."""

    waves: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        super().__init__()
        wavelength = block_wavelengths(grid)
        place = (wavelength - wavelength[0]) / (wavelength[-1] - wavelength[0])
        number = torch.arange(1, COUNT + 1, dtype=torch.float64)
        self.register_buffer("waves", torch.cos(math.pi * number[:, None] * place).float(), persistent=False)

    def in_blocks(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.BrightBlockBank`."""
        return self.waves.to(spectrum.weight.dtype)
