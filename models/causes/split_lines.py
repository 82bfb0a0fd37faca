"""Split lines: narrow lines in two components, as of two nuclei or a disc."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from models.causes.gas_lines import GAS_FLUXES, GAS_LINES, SPEED_OF_LIGHT
from models.causes.quantities import VELOCITY
from models.causes.template_bank import LineBank
from models.causes.whitened import WhitenedResidual
from models.grid import WavelengthGrid

SPLITS = (320.0, 400.0, 480.0, 570.0)
"""Velocity between the components, km/s."""
_GROUPS = ((4, 5), (1, 2, 3), (0,), tuple(range(len(GAS_LINES))))
"""Places in ``GAS_LINES``: lines that split together, as dust and redshift hide the others."""
_SIGMA = 100.0
"""Of a component, km/s."""
_LOST = -0.7
"""Flux that the single line loses, in units of what both components have."""


class SplitLines(LineBank):
    """Two Gaussians more and one less at the lines of every group, for every split."""

    sign = 1
    quantities = (VELOCITY,)

    splits: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        # Columns: both components and the single line, of every line; a line of another group has no height.
        centre, height = [], []
        for split, group in itertools.product(SPLITS, _GROUPS):
            places, peaks = [], []
            for number, (_, place) in enumerate(GAS_LINES):
                flux = GAS_FLUXES[1][number] * 5000.0 / place if number in group else 0.0
                for side, share in ((-0.5, 1.0), (0.5, 1.0), (0.0, _LOST)):
                    places.append(place * (1 + side * split / SPEED_OF_LIGHT))
                    peaks.append(share * flux)
            centre.append(places)
            height.append(peaks)
        where = torch.tensor(centre, dtype=torch.float64)
        super().__init__(grid, where, torch.full(where.shape, _SIGMA), torch.tensor(height))
        splits = torch.tensor(SPLITS).repeat_interleave(len(_GROUPS))
        self.register_buffer("splits", splits, persistent=False)

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`: the velocity between the components."""
        return self.splits[:, None]
