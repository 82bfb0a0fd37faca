"""Steps between arms: one arm calibrated too high or too low."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from models.causes.quantities import FEATURE
from models.causes.template_bank import WrittenBank
from models.causes.whitened import WhitenedResidual
from models.grid import WavelengthGrid


class ArmSteps(WrittenBank):
    """The reconstruction within each arm.

    Parameters
    ----------
    grid : of the spectra.
    edges : observed wavelengths, Angstrom, at which one arm ends and the next begins.
    """

    quantities = (FEATURE,)

    arms: Tensor
    middle: Tensor
    first: Tensor

    def __init__(self, grid: WavelengthGrid, edges: Sequence[float]) -> None:
        super().__init__()
        wavelength = torch.from_numpy(grid.wavelength())
        number = torch.bucketize(wavelength, torch.tensor(sorted(edges), dtype=torch.float64))
        # Of two arms, one too high is the other too low.
        wanted = len(edges) + 1 if len(edges) > 1 else 1
        arms = number == torch.arange(wanted)[:, None]
        if not edges:
            # One template that no spectrum can show.
            arms = torch.zeros_like(arms)
        self.register_buffer("arms", arms, persistent=False)
        first = torch.searchsorted(number, torch.arange(wanted))
        self.register_buffer("first", first, persistent=False)
        ends = [float(wavelength[0]), *sorted(edges), float(wavelength[-1])]
        middle = [0.5 * (low + high) for low, high in pairwise(ends)][:wanted]
        self.register_buffer("middle", torch.tensor(middle, dtype=torch.float64), persistent=False)
        # Of two arms the reconstruction draws most of a step: what is left is no measure of it.
        self.relative = int(len(edges) > 1)

    def of_modes(self, templates: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.WrittenBank`."""
        # No pixel is of two arms: one pass over the modes serves all.
        height = (templates.sum(dim=-2) * spectrum.root).flatten()
        table = spectrum.modes.flatten(0, -2)
        count = len(table) // self.arms.shape[1]
        starts = torch.arange(count, device=table.device)[:, None] * self.arms.shape[1] + self.first
        pixels = torch.arange(len(table), device=table.device)
        sums = nn.functional.embedding_bag(
            pixels, table, starts.flatten(), per_sample_weights=height, mode="sum"
        )
        return sums.view(*templates.shape[:-1], -1)

    def templates(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.WrittenBank`."""
        return self.arms * spectrum.reconstruction[..., None, :]

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`: the middle of the arm."""
        return self.middle[:, None]
