"""Missing lines: what the model draws sharply, and the spectrum lacks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.causes.gas_lines import SPEED_OF_LIGHT
from models.causes.quantities import FEATURE
from models.causes.template_bank import TemplateBank
from models.causes.whitened import Products, WhitenedResidual, picked, products, running
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


class MissingLines(TemplateBank):
    """The sharp part of the reconstruction at every group of lines, taken off."""

    sign = 1
    quantities = (FEATURE,)

    log_wavelength: Tensor
    log_ends: Tensor
    members: Tensor
    offset: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        super().__init__()
        log_wavelength = torch.from_numpy(grid.wavelength()).log()
        self.register_buffer("log_wavelength", log_wavelength, persistent=False)
        reach = _REACH / SPEED_OF_LIGHT
        ends, group = [], []
        for number, (_, lines) in enumerate(GROUPS):
            before = -math.inf
            for place in sorted(lines):
                # What two lines of a group share counts once.
                ends.append([max(math.log(place) - reach, before), math.log(place) + reach])
                before = ends[-1][1]
                group.append(number)
        self.register_buffer("log_ends", torch.tensor(ends, dtype=torch.float64).T, persistent=False)
        members = nn.functional.one_hot(torch.tensor(group), len(GROUPS)).T.double()
        self.register_buffer("members", members, persistent=False)
        widest = math.ceil(2 * reach / float(log_wavelength.diff().min())) + 1
        self.register_buffer("offset", torch.arange(widest), persistent=False)

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        kind, first, stop = spectrum.weight.dtype, *self._pixels(spectrum.redshift)
        taken = -sharp(spectrum.reconstruction.view(-1, len(self.log_wavelength)))
        taken = taken.view_as(spectrum.reconstruction)
        both = torch.stack((taken * spectrum.filtered, taken.square() * spectrum.weight))
        sums = running(both)
        ends = (end.expand(2, *end.shape) for end in (stop, first))
        high, low = (torch.gather(sums, -1, end) for end in ends)
        along, full = ((high - low) @ self.members.T).to(kind)
        place = first[..., None] + self.offset
        inside, place = place < stop[..., None], place.clamp(max=len(self.log_wavelength) - 1)
        height = torch.gather(taken * spectrum.root, -1, place.flatten(-2)).view(place.shape) * inside
        of_modes = self.members.to(kind) @ picked(spectrum.modes, place, height)
        return products(along, full, of_modes)

    def _pixels(self, redshift: Tensor) -> tuple[Tensor, Tensor]:
        """The first pixel near every line at redshifts (...), and the one after the last, (..., lines)."""
        shift = torch.log1p(redshift)[..., None]
        low, high = (torch.searchsorted(self.log_wavelength, ends + shift) for ends in self.log_ends)
        return low, high

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        first, stop = self._pixels(spectrum.redshift)
        pixel = torch.arange(len(self.log_wavelength), device=chosen.device)
        near = (pixel >= first[:, None]) & (pixel < stop[:, None])
        inside = self.members[chosen].to(spectrum.weight.dtype) @ near.to(spectrum.weight.dtype)
        return -inside * sharp(spectrum.reconstruction[None])

    def values(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`: of every group the first line, observed."""
        first = torch.tensor([lines[0] for _, lines in GROUPS], dtype=torch.float64)
        return (first.to(spectrum.redshift) * (1 + spectrum.redshift))[:, None]
