"""The rest frame: spectra brought to one grid of rest-frame wavelengths, and back.

Both ways are linear in flux and written as a few taps per pixel: gathers with fixed coefficients, the
same on every device and whatever the batch, with known adjoints. Positions are float64: a pixel index
near 7000 needs more than float32 leaves for its fraction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.grid import WavelengthGrid

DOUBT = 0.1
"""Weight of the usual spectrum beside a rest-frame pixel of median weight: :meth:`RestFrame.averaging`."""


@dataclass(frozen=True, eq=False)
class RestTaps:
    """How B rest-frame spectra follow from B observed ones: u = offset + sum_k coefficient_k flux[index_k].

    Attributes
    ----------
    index : K times (B, R), observed pixels.
    coefficient : K times (B, R), 0 where a tap does not count; masked pixels never do.
    offset : (B, R), the share of the usual spectrum.
    """

    index: tuple[Tensor, ...]
    coefficient: tuple[Tensor, ...]
    offset: Tensor

    @property
    def known(self) -> Tensor:
        """Share of the observed pixels, (B, R): 0 where the usual spectrum stands alone."""
        return torch.stack(self.coefficient).sum(dim=0)

    def apply(self, flux: Tensor) -> Tensor:
        """Rest-frame spectra (B, R) of flux (B, N), which is finite at masked pixels too."""
        rest = self.offset
        for index, coefficient in zip(self.index, self.coefficient, strict=True):
            rest = rest + coefficient * flux.gather(1, index)
        return rest

    def folded(self, weight: Tensor, pixels: int) -> Tensor:
        """A layer's ``weight`` (C, R) on rest-frame spectra as one on flux, (C, N), for B = 1."""
        result = weight.new_zeros(len(weight), pixels)
        for index, coefficient in zip(self.index, self.coefficient, strict=True):
            result.index_add_(1, index[0], weight * coefficient[0])
        return result


class RestFrame(nn.Module):
    """Between an observed grid and R rest-frame pixels, even in log10 of the wavelength.

    Parameters
    ----------
    grid : observed grid, N pixels.
    start, step, size : rest-frame grid in log10 of Angstrom. The step must not be below the observed
        grid's pixels: there would be rest-frame pixels that no observed one falls on.
    """

    observed: Tensor
    rest: Tensor

    def __init__(self, grid: WavelengthGrid, start: float, step: float, size: int) -> None:
        super().__init__()
        self.grid, self.start, self.step, self.size = grid, start, step, size
        observed = torch.from_numpy(grid.wavelength()).log10()
        self.register_buffer("observed", observed, persistent=False)
        rest = start + step * torch.arange(size, dtype=torch.float64)
        self.register_buffer("rest", rest, persistent=False)
        closest = float(observed.diff().min())
        # Observed pixels within a step on either side of a rest-frame pixel, at most.
        self._taps = math.ceil(2.0 * step / closest)

    def to_observed(self, rest: Tensor, redshift: Tensor) -> Tensor:
        """Linear interpolation on the observed grid, (B, R) and (B,) to (B, N); the end values beyond."""
        place = self._place(redshift).clamp(0, self.size - 1.001)
        left = place.floor().long()
        fraction = (place - left).to(rest.dtype)
        return rest.gather(1, left) * (1 - fraction) + rest.gather(1, left + 1) * fraction

    def averaging(self, ivar: Tensor, redshift: Tensor, usual: Tensor) -> RestTaps:
        """Weighted means of the observed pixels around every rest-frame pixel.

        An observed pixel gives its inverse variance to the two rest-frame pixels between which it lies,
        by the shares with which :meth:`to_observed` draws on them: nothing of it is lost. The ``usual``
        spectrum (R,) takes part everywhere with :data:`DOUBT` times the spectrum's median weight: it
        fills gaps, and what is known badly says little. Relative weights alone count, so that a
        spectrum of twice the noise looks the same.

        Parameters
        ----------
        ivar : (B, N); masked pixels, of 0, take no part.
        redshift : (B,).
        """
        place = self._place(redshift)
        # The pixel after a step before: one that rounding leaves out there would have had no share.
        first = self._pixel(self.rest - self.step + self._shift(redshift)[:, None]).floor().long() + 1
        centre = torch.arange(self.size, device=first.device)
        last = self.grid.size - 1
        indices, weights = [], []
        for tap in range(self._taps):
            wanted = first + tap
            index = wanted.clamp(0, last)
            share = (1 - (place.gather(1, index) - centre).abs()).to(ivar.dtype).clamp_min_(0)
            weights.append(share.mul_(wanted == index).mul_(ivar.gather(1, index)))
            indices.append(index)
        total = weights[0].clone()
        for weight in weights[1:]:
            total += weight
        median = torch.where(total > 0, total, torch.nan).nanmedian(dim=1, keepdim=True).values
        doubt = DOUBT * median.nan_to_num(nan=1.0)
        known = total + doubt
        coefficients = tuple(weight.div_(known) for weight in weights)
        return RestTaps(tuple(indices), coefficients, usual.to(ivar.dtype) * (doubt / known))

    def sampling(self, ivar: Tensor, redshift: Tensor, usual: Tensor) -> RestTaps:
        """Linear interpolation at every rest-frame pixel, as published.

        Where one of the two neighbours is masked or not observed, the ``usual`` spectrum (R,) stands in.
        """
        place = self._pixel(self.rest + self._shift(redshift)[:, None])
        low = place.floor()
        inside = (low >= 0) & (low < self.grid.size - 1)
        low = low.clamp(0, self.grid.size - 2).long()
        fraction = (place - low).to(ivar.dtype)
        known = inside & (ivar.gather(1, low) > 0) & (ivar.gather(1, low + 1) > 0)
        coefficients = torch.where(known, 1 - fraction, 0), torch.where(known, fraction, 0)
        return RestTaps((low, low + 1), coefficients, torch.where(known, 0, usual.to(ivar.dtype)))

    def _shift(self, redshift: Tensor) -> Tensor:
        return torch.log1p(redshift.double()) / math.log(10.0)

    def _place(self, redshift: Tensor) -> Tensor:
        """Fractional rest-frame pixel of every observed one, (B, N)."""
        return (self.observed[None] - self._shift(redshift)[:, None] - self.start) / self.step

    def _pixel(self, log10_wavelength: Tensor) -> Tensor:
        """Fractional observed pixel of log10 of observed wavelengths."""
        linear = self.grid.spacing == "linear"
        coordinate = torch.pow(10.0, log10_wavelength) if linear else log10_wavelength
        return (coordinate - self.grid.start) / self.grid.step
