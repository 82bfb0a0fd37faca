"""Template banks: the templates of one cause, and how they are searched."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from models.causes.gas_lines import SPEED_OF_LIGHT
from models.causes.quantities import Quantity
from models.causes.whitened import BLOCK, Matched, Sums, WhitenedResidual, matched, of_blocks
from models.grid import WavelengthGrid

_REACH = 4.0
"""Sigma of a Gaussian line beyond which nothing is drawn."""


class TemplateBank(nn.Module, ABC):
    """The T templates of one cause.

    Attributes
    ----------
    kept : number of templates, the most significant ones, that an explanation follows while flux changes.
    sign : 1 if only an addition of the template is the cause, 0 if a subtraction is, too.
    sharpness : power by which the best template counts for more than all others together; 1 is the mean
        likelihood ratio. Of very many templates of one pixel each, noise would make up most of that mean.
    quantities : what the templates differ in and :meth:`values` tells.
    relative : the share of the reconstruction that a template adds where it is strongest, 1 or -1: then its
        amplitude is an estimate too, in per cent. 0 for templates of another shape.
    """

    kept = 8
    sign = 0
    sharpness = 1.0
    quantities: tuple[Quantity, ...] = ()
    relative = 0

    @abstractmethod
    def search(self, spectrum: WhitenedResidual) -> Matched:
        """The significance of every template, (T,)."""

    @abstractmethod
    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """The templates ``chosen`` (M,), (M, N)."""

    def values(self, spectrum: WhitenedResidual) -> Tensor:
        """The Q quantities of every template, (T, Q), in the order and unit of ``quantities``.

        Asked of banks that have quantities alone.
        """
        return spectrum.weight.new_zeros(0, 0)

    def steps(self, best: int) -> Tensor | None:  # noqa: ARG002
        """Distance of each quantity from the template ``best`` to the next, (Q,).

        None where templates lie on a grid of their quantities, of which the distances are seen.
        """
        return None


class WrittenBank(TemplateBank):
    """A bank whose templates are written out, (T, N)."""

    @abstractmethod
    def templates(self, spectrum: WhitenedResidual) -> Tensor:
        """All templates, (T, N)."""

    def search(self, spectrum: WhitenedResidual) -> Matched:
        """See :class:`TemplateBank`."""
        return matched_rows(self.templates(spectrum), spectrum.pixels, spectrum)

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`TemplateBank`."""
        return self.templates(spectrum)[chosen]


class BlockBank(TemplateBank):
    """A bank whose templates are written out by blocks of pixels, (T, M)."""

    @abstractmethod
    def in_blocks(self, spectrum: WhitenedResidual) -> Tensor:
        """All templates, (T, M)."""

    def search(self, spectrum: WhitenedResidual) -> Matched:
        """See :class:`TemplateBank`."""
        return matched_rows(self.in_blocks(spectrum), spectrum.blocks, spectrum)

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`TemplateBank`."""
        return of_blocks(self.in_blocks(spectrum)[chosen], len(spectrum.weight))


class BrightBlockBank(TemplateBank):
    """A bank whose templates are shares of the reconstruction, written out by blocks of pixels, (T, M)."""

    @abstractmethod
    def in_blocks(self, spectrum: WhitenedResidual) -> Tensor:
        """All shares, (T, M)."""

    def search(self, spectrum: WhitenedResidual) -> Matched:
        """See :class:`TemplateBank`."""
        return matched_rows(self.in_blocks(spectrum), spectrum.bright_blocks, spectrum)

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`TemplateBank`."""
        shares = of_blocks(self.in_blocks(spectrum)[chosen], len(spectrum.weight))
        return shares * spectrum.reconstruction


class BoxBank(TemplateBank):
    """A bank whose templates are made of L boxes each, from one block of pixels to before another.

    Attributes
    ----------
    starts, stops : (T, L), blocks.
    """

    starts: Tensor
    stops: Tensor

    def boxes(self, running_sums: Tensor) -> Tensor:
        """Sums over every template's boxes, (T, L, ...), of running ones (M + 1, ...)."""
        return running_sums[self.stops] - running_sums[self.starts]

    def boxes_together(self, running_sums: Tensor, height: Tensor) -> Tensor:
        """Sums over all boxes of a template, times ``height`` (L,), (T, K), of running ones (M + 1, K)."""
        ends = torch.cat((self.stops, self.starts), dim=1)
        signs = torch.cat((height, -height)).to(running_sums.dtype).expand(len(ends), -1).contiguous()
        return nn.functional.embedding_bag(ends, running_sums, per_sample_weights=signs, mode="sum")

    def inside(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """1 in each box of the templates ``chosen`` (K,), else 0, (K, L, M)."""
        block = torch.arange(len(spectrum.blocks.weight), device=chosen.device)
        starts, stops = self.starts[chosen, :, None], self.stops[chosen, :, None]
        return ((block >= starts) & (block < stops)).to(spectrum.weight.dtype)


class Lines(nn.Module):
    """Templates of Gaussian lines in the source's rest frame, drawn on bins of pixels.

    Parameters
    ----------
    log_wavelength : (M,), natural log of the bins' middles, Angstrom.
    centre : (T, L), rest wavelengths, Angstrom.
    sigma : (T, L), km/s.
    height : (T, L), of flux per wavelength.
    """

    log_wavelength: Tensor
    row: Tensor
    log_centre: Tensor
    sigma: Tensor
    height: Tensor
    offset: Tensor

    def __init__(self, log_wavelength: Tensor, centre: Tensor, sigma: Tensor, height: Tensor) -> None:
        super().__init__()
        widest = float(sigma.max()) / SPEED_OF_LIGHT
        reach = math.ceil(_REACH * widest / float(log_wavelength.diff().min()))
        self.count = len(centre)
        row, line = height.nonzero(as_tuple=True)
        self.register_buffer("log_wavelength", log_wavelength, persistent=False)
        self.register_buffer("row", row, persistent=False)
        self.register_buffer("log_centre", centre.double()[row, line].log(), persistent=False)
        self.register_buffer("sigma", sigma.float()[row, line] / SPEED_OF_LIGHT, persistent=False)
        self.register_buffer("height", height.float()[row, line], persistent=False)
        self.register_buffer("offset", torch.arange(-reach, reach + 1), persistent=False)

    def forward(self, redshift: Tensor, kind: torch.dtype) -> Tensor:
        """All templates at a redshift (), (T, M); only bins near lines on the grid are worked on."""
        pixels = len(self.log_wavelength)
        log_centre = self.log_centre + torch.log1p(redshift)
        reach = _REACH * self.sigma
        on_grid = (log_centre + reach > self.log_wavelength[0]) & (
            log_centre - reach < self.log_wavelength[-1]
        )
        log_centre = log_centre[on_grid, None]
        pixel = torch.searchsorted(self.log_wavelength, log_centre) + self.offset
        inside = (pixel >= 0) & (pixel < pixels)
        pixel = pixel.clamp(0, pixels - 1)
        # Differences of logarithms in float64: float32 has no digits to spare.
        away = (self.log_wavelength[pixel] - log_centre).to(kind) / self.sigma.to(kind)[on_grid, None]
        profile = torch.exp(-0.5 * away.square()) * (inside & (away.abs() <= _REACH))
        rows = profile.new_zeros(self.count * pixels)
        place = self.row[on_grid, None] * pixels + pixel
        rows.scatter_add_(0, place.flatten(), (self.height.to(kind)[on_grid, None] * profile).flatten())
        return rows.view(self.count, pixels)


class LineBank(WrittenBank):
    """A bank of :class:`Lines` drawn on pixels; ``centre``, ``sigma`` and ``height`` are theirs."""

    def __init__(self, grid: WavelengthGrid, centre: Tensor, sigma: Tensor, height: Tensor) -> None:
        super().__init__()
        self.lines = Lines(torch.from_numpy(grid.wavelength()).log(), centre, sigma, height)

    def templates(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`WrittenBank`."""
        drawn: Tensor = self.lines(spectrum.redshift, spectrum.weight.dtype)
        return drawn


class BroadLineBank(BlockBank):
    """A bank of :class:`Lines` much broader than a block, drawn on blocks."""

    def __init__(self, grid: WavelengthGrid, centre: Tensor, sigma: Tensor, height: Tensor) -> None:
        super().__init__()
        self.lines = Lines(block_wavelengths(grid).log(), centre, sigma, height)

    def in_blocks(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`BlockBank`."""
        drawn: Tensor = self.lines(spectrum.redshift, spectrum.weight.dtype)
        return drawn


def matched_rows(rows: Tensor, sums: Sums, spectrum: WhitenedResidual) -> Matched:
    """Matched filters of templates written out by bins, (T, M)."""
    return matched(rows @ sums.filtered, rows.square() @ sums.weight, rows @ sums.weighted_modes, spectrum)


def block_wavelengths(grid: WavelengthGrid) -> Tensor:
    """Wavelengths of the middles of blocks of pixels, (M,) float64, Angstrom; the last may be cut."""
    count = -(-grid.size // BLOCK)
    middle = BLOCK * np.arange(count, dtype=np.float64) + (BLOCK - 1) / 2
    return torch.from_numpy(grid.wavelength_at(middle))
