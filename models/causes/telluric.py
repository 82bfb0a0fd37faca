"""Telluric residuals: bands of the air corrected too little or too much."""

from __future__ import annotations

import torch
from torch import Tensor

from models.causes.quantities import FEATURE
from models.causes.template_bank import SparseBank
from models.causes.whitened import WhitenedResidual
from models.grid import WavelengthGrid

BANDS = (
    ("O2 A", ((7594.0, 7622.0, 1.0), (7622.0, 7700.0, 0.6))),
    ("O2 B", ((6868.0, 6884.0, 1.0), (6884.0, 6945.0, 0.5))),
    ("H2O 7200", ((7170.0, 7340.0, 1.0),)),
    ("H2O 8200", ((8130.0, 8345.0, 1.0),)),
    ("H2O 9400", ((8940.0, 9250.0, 0.4), (9250.0, 9560.0, 1.0), (9560.0, 9800.0, 0.4))),
)
"""Observed vacuum wavelengths, Angstrom, and depths relative to the deepest: oxygen's bands, which head in
the blue, and water's (Smette et al. 2015, A&A 576, A77; Hinkle et al. 2003, BAAS 35, 1260), as surveys blur
them."""
_EDGE = 3.0
"""Angstrom over which an edge falls."""


class TelluricResiduals(SparseBank):
    """A share of the reconstruction in every band."""

    quantities = (FEATURE,)
    relative = 1

    middle: Tensor

    def __init__(self, grid: WavelengthGrid) -> None:
        wavelength = torch.from_numpy(grid.wavelength())
        rows = []
        for _, parts in BANDS:
            row = torch.zeros_like(wavelength)
            for low, high, depth in parts:
                row += (
                    depth
                    * torch.sigmoid((wavelength - low) / _EDGE)
                    * torch.sigmoid((high - wavelength) / _EDGE)
                )
            rows.append(torch.where(row > 1e-3, row, 0.0))
        super().__init__(torch.stack(rows).float())
        middle = [0.5 * (parts[0][0] + parts[-1][1]) for _, parts in BANDS]
        self.register_buffer("middle", torch.tensor(middle, dtype=torch.float64), persistent=False)

    def height(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.SparseBank`."""
        return spectrum.reconstruction

    def values(self, spectrum: WhitenedResidual) -> Tensor:  # noqa: ARG002
        """See :class:`models.causes.template_bank.TemplateBank`: the middle of every band."""
        return self.middle[:, None]
