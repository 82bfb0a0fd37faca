"""The bank: the causes that the score looks for, by name."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from models.causes.arm_steps import ArmSteps
from models.causes.broad_lines import BroadLines
from models.causes.names import CAUSES
from models.causes.noisy_intervals import NoisyIntervals
from models.causes.second_redshift import SecondRedshift
from models.causes.single_pixels import SinglePixels
from models.causes.sky_residuals import SkyResiduals
from models.causes.split_lines import SplitLines
from models.causes.template_bank import TemplateBank
from models.grid import WavelengthGrid


def cause_banks(grid: WavelengthGrid, arm_edges: Sequence[float]) -> nn.ModuleDict:
    """A bank of templates per cause, in the order of ``CAUSES``.

    ``arm_edges`` are the observed wavelengths, Angstrom, at which one arm ends and the next begins.
    """
    banks: dict[str, TemplateBank] = {
        "single_pixels": SinglePixels(grid),
        "noisy_interval": NoisyIntervals(grid),
        "sky_residuals": SkyResiduals(grid),
        "second_redshift": SecondRedshift(grid),
        "broad_lines": BroadLines(grid),
        "split_lines": SplitLines(grid),
        "arm_step": ArmSteps(grid, arm_edges),
    }
    return nn.ModuleDict({name: banks[name] for name in CAUSES})
