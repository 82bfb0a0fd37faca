"""The bank: the causes that the score looks for, by name."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from models.causes.arm_steps import ArmSteps
from models.causes.broad_lines import BroadLines
from models.causes.calibration_waves import CalibrationWaves
from models.causes.missing_flux import DeadIntervals, Troughs
from models.causes.missing_lines import MissingLines
from models.causes.names import TEMPLATE_CAUSES
from models.causes.noisy_intervals import NoisyIntervals
from models.causes.quasar_lines import QuasarLines
from models.causes.second_redshift import SecondRedshift
from models.causes.single_pixels import SinglePixels
from models.causes.sky_residuals import SkyResiduals
from models.causes.split_lines import SplitLines
from models.causes.telluric import TelluricResiduals
from models.causes.template_bank import TemplateBank
from models.causes.unusual_lines import UnusualLines
from models.grid import WavelengthGrid


def cause_banks(grid: WavelengthGrid, arm_edges: Sequence[float]) -> nn.ModuleDict:
    """A bank of templates per cause, in the order of ``TEMPLATE_CAUSES``.

    ``arm_edges`` are the observed wavelengths, Angstrom, at which one arm ends and the next begins.
    """
    banks: dict[str, TemplateBank] = {
        "single_pixels": SinglePixels(grid),
        "noisy_interval": NoisyIntervals(grid),
        "dead_interval": DeadIntervals(grid),
        "sky_residuals": SkyResiduals(grid),
        "telluric": TelluricResiduals(grid),
        "arm_step": ArmSteps(grid, arm_edges),
        "calibration_wave": CalibrationWaves(grid),
        "second_redshift": SecondRedshift(grid),
        "quasar_lines": QuasarLines(grid),
        "broad_lines": BroadLines(grid),
        "split_lines": SplitLines(grid),
        "unusual_lines": UnusualLines(grid),
        "missing_lines": MissingLines(grid),
        "trough": Troughs(grid),
    }
    return nn.ModuleDict({name: banks[name] for name in TEMPLATE_CAUSES})
