"""Missing flux: absorption troughs, whose edges are soft, and dead intervals, whose edges are sharp."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from models.causes.gas_lines import SPEED_OF_LIGHT
from models.causes.quantities import WAVELENGTH, WIDTH
from models.causes.template_bank import BoxBank, block_wavelengths
from models.causes.whitened import BLOCK, Products, WhitenedResidual, of_blocks, products
from models.grid import WavelengthGrid

_NARROWEST, _WIDEST = 48.0, 510.0
"""Full width, pixels."""


class _MissingFlux(BoxBank):
    """A share of the reconstruction less in boxes within one another, each ``sides`` times as wide.

    All boxes count alike: one box has sharp edges, several have soft ones. ``places`` are the steps of a box
    per its width, and each width is ``growth`` times the one before.
    """

    sign = 1
    quantities = (WAVELENGTH, WIDTH)
    relative = -1
    sides: tuple[float, ...] = (1.0,)
    places = 3
    growth = 1.5

    measures: Tensor
    step: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        super().__init__()
        count = len(block_wavelengths(grid))
        widths = 1 + round(math.log(_WIDEST / _NARROWEST) / math.log(self.growth))
        starts, stops, steps = [], [], []
        for wide in np.geomspace(_NARROWEST / BLOCK, _WIDEST / BLOCK, widths).tolist():
            step = max(wide / self.places, 1.0)
            # A grid narrower than the box holds it once.
            places = max(int((count - wide) // step) + 1, 1)
            middle = wide / 2 + step * torch.arange(places, dtype=torch.float64)
            half = 0.5 * wide * torch.tensor(self.sides, dtype=torch.float64)
            starts.append((middle[:, None] - half).round().clamp(0, count))
            stops.append((middle[:, None] + half).round().clamp(0, count))
            # From one place to the next, and between the widths before and after.
            between = 0.5 * wide * (self.growth - 1 / self.growth)
            steps.append(torch.tensor([[step, between]], dtype=torch.float64).expand(places, 2))
        self.register_buffer("starts", torch.cat(starts).long(), persistent=False)
        self.register_buffer("stops", torch.cat(stops).long(), persistent=False)
        # The middle one of the boxes is as wide as the feature at half of its depth.
        whole = self.sides.index(1.0)
        ends = BLOCK * torch.stack((self.starts[:, whole], self.stops[:, whole])).double() - 0.5
        blue, red = (torch.from_numpy(grid.wavelength_at(each.numpy())) for each in ends)
        centre = 0.5 * (blue + red)
        measures = torch.stack((centre, SPEED_OF_LIGHT * (red - blue) / centre), dim=1)
        self.register_buffer("measures", measures, persistent=False)
        block = (red - blue) / (self.stops[:, whole] - self.starts[:, whole]).clamp_min(1)
        unit = torch.stack((block, SPEED_OF_LIGHT * block / centre), dim=1)
        self.register_buffer("step", torch.cat(steps) * unit, persistent=False)

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        sums, kind = spectrum.bright_running, spectrum.weight.dtype
        boxes = len(self.sides)
        along = self.boxes(sums.filtered).sum(dim=-1) / -boxes
        # Of boxes within one another, 1 at most: the inner a boxes hold (a / n)^2.
        share = (
            torch.arange(2.0 * boxes - 1, 0, -2, dtype=torch.float64, device=self.starts.device) / boxes**2
        )
        full = self.boxes(sums.weight) @ share
        even = torch.full((boxes,), -1.0 / boxes, dtype=torch.float64, device=self.starts.device)
        return products(along.to(kind), full.to(kind), self.boxes_together(sums.modes, even))

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        lost = self.inside(chosen, spectrum).mean(dim=1)
        return -of_blocks(lost, len(spectrum.weight)) * spectrum.reconstruction

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`."""
        return self.measures

    def steps(self, best: int) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        return self.step[best]


class Troughs(_MissingFlux):
    """Broad absorption at any wavelength."""

    sides = (0.6, 1.0, 1.4)
    places = 4


class DeadIntervals(_MissingFlux):
    """Intervals of a detector that lost light, wholly or in part: sharp boxes must lie on their edges."""

    places = 8
    growth = 1.2
