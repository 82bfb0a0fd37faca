"""Missing lines: what the model draws sharply, and the spectrum lacks."""

from __future__ import annotations

import torch
from torch import Tensor

from models.causes.gas_lines import SPEED_OF_LIGHT
from models.causes.quantities import FEATURE
from models.causes.template_bank import WrittenBank
from models.causes.whitened import WhitenedResidual
from models.grid import WavelengthGrid
from models.sharp import sharp

GROUPS = (
    ("[O II]", (3728.48,)),
    ("Ca H, K", (3934.78, 3969.59)),
    ("G band", (4305.61,)),
    ("Hβ", (4862.68,)),
    ("[O III]", (5008.24, 4960.30)),
    ("Mg b", (5176.63,)),
    ("Na D", (5894.57,)),
    ("Hα, [N II]", (6564.61, 6549.86, 6585.27)),
    ("[S II]", (6718.29, 6732.67)),
)
"""Name, rest wavelengths in vacuum (Angstrom, see ``models.lines``), of lines that come and go together, the
strongest first."""
_REACH = 600.0
"""km/s to either side that belong to a line."""


class MissingLines(WrittenBank):
    """The sharp part of the reconstruction at every group of lines, taken off."""

    sign = 1
    quantities = (FEATURE,)

    log_wavelength: Tensor
    log_line: Tensor
    group: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        super().__init__()
        places = [(number, place) for number, (_, lines) in enumerate(GROUPS) for place in lines]
        self.register_buffer("log_wavelength", torch.from_numpy(grid.wavelength()).log(), persistent=False)
        self.register_buffer(
            "log_line",
            torch.tensor([place for _, place in places], dtype=torch.float64).log(),
            persistent=False,
        )
        self.register_buffer("group", torch.tensor([number for number, _ in places]), persistent=False)

    def templates(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.WrittenBank`."""
        away = self.log_wavelength - (self.log_line + torch.log1p(spectrum.redshift))[:, None]
        near = away.abs() < _REACH / SPEED_OF_LIGHT
        members = torch.nn.functional.one_hot(self.group, len(GROUPS)).T.to(spectrum.weight.dtype)
        inside = (members @ near.to(members.dtype)).clamp(max=1.0)
        return -inside * sharp(spectrum.reconstruction[None])

    def values(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`: of every group the first line, observed."""
        first = torch.tensor([lines[0] for _, lines in GROUPS], dtype=torch.float64)
        return (first.to(spectrum.redshift) * (1 + spectrum.redshift))[:, None]
