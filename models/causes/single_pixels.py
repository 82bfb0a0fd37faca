"""Single pixels: cosmic rays and hot pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.causes.quantities import WAVELENGTH
from models.causes.template_bank import TemplateBank
from models.causes.whitened import Products, WhitenedResidual, squared
from models.grid import WavelengthGrid


class SinglePixels(TemplateBank):
    """One template for every pixel of the grid."""

    kept = 16
    sharpness = 3.0
    quantities = (WAVELENGTH,)

    wavelength: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        super().__init__()
        self.register_buffer("wavelength", torch.from_numpy(grid.wavelength()), persistent=False)

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        weight = spectrum.weight
        return Products(spectrum.filtered, weight, weight * squared(spectrum.modes), torch.zeros_like(weight))

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        return nn.functional.one_hot(chosen, len(spectrum.weight)).to(spectrum.weight.dtype)

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`."""
        return self.wavelength[:, None]
