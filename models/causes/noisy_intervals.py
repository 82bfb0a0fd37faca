"""Noisy intervals: neighbouring pixels that are off by like numbers of their own errors."""

from __future__ import annotations

import torch
from torch import Tensor

from models.causes.quantities import WAVELENGTH
from models.causes.template_bank import TemplateBank
from models.causes.whitened import Products, WhitenedResidual, in_blocks, picked, squared
from models.grid import WavelengthGrid

STEP = 3
WIDTH = 2 * STEP
"""Pixels."""
MISFIT = 0.03
"""Standard deviation of the reconstruction over an interval, share of it."""


class NoisyIntervals(TemplateBank):
    """Boxes of constant flux over error.

    A box of constant flux is read from its pixels of small errors alone. Where errors vary, as on sky lines
    and beside bad columns, this one sees what all of its pixels hold.
    """

    quantities = (WAVELENGTH,)

    middle: Tensor
    pixels: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        super().__init__()
        wavelength = torch.from_numpy(grid.wavelength())
        self.register_buffer("middle", _in_boxes(wavelength) / WIDTH, persistent=False)
        first = STEP * torch.arange(len(self.middle))[:, None]
        self.register_buffer("pixels", first + torch.arange(WIDTH), persistent=False)

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        error = _errors(spectrum.weight)
        good = (spectrum.weight > 0).to(error.dtype)
        # A template times W^1/2 is 1, or 0 where masked, as modes are.
        of_modes = picked(spectrum.modes, self.pixels, error.new_ones(self.pixels.shape))
        along, full = _in_boxes(spectrum.filtered * error), _in_boxes(good)
        # What the model is wrong by along a whole interval is no noise that averages out.
        misfit = MISFIT * _in_boxes(spectrum.reconstruction * spectrum.root)
        return Products(along, full, squared(of_modes), misfit)

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        pixel = torch.arange(len(spectrum.weight), device=chosen.device)
        first = STEP * chosen[:, None]
        inside = (pixel >= first) & (pixel < first + WIDTH)
        return inside * _errors(spectrum.weight)

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`."""
        return self.middle[:, None]


def _errors(weight: Tensor) -> Tensor:
    return torch.where(weight > 0, weight.clamp_min(torch.finfo(weight.dtype).tiny).rsqrt(), 0.0)


def _in_boxes(values: Tensor) -> Tensor:
    """Sums over the boxes, (..., N) to (..., T): each is two neighbouring steps."""
    steps = in_blocks(values[..., : values.shape[-1] // STEP * STEP], STEP)
    return steps[..., :-1] + steps[..., 1:]
