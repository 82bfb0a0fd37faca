"""Steps between arms: one arm calibrated too high or too low."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from models.causes.quantities import ARM_EDGE
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

    quantities = (ARM_EDGE,)
    relative = 1

    arms: Tensor
    edge: Tensor

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
        # Where each arm begins; the first has only an end.
        known = sorted(edges)
        edge = torch.tensor([*known[:1], *known][:wanted] or [math.nan], dtype=torch.float64)
        self.register_buffer("edge", edge, persistent=False)

    def templates(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.WrittenBank`."""
        return self.arms * spectrum.reconstruction

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`: the edge at which the arm begins."""
        return self.edge[:, None]
