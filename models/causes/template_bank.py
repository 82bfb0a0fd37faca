"""Template banks: the templates of one cause, and how they are searched."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.causes.gas_lines import SPEED_OF_LIGHT
from models.causes.quantities import Quantity
from models.causes.whitened import (
    BLOCK,
    Matched,
    Products,
    Sums,
    WhitenedResidual,
    matched,
    of_blocks,
    picked,
    products,
    taken,
)
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
    def products(self, spectrum: WhitenedResidual) -> Products:
        """What every template's significance is made of, (..., T), in spectra (...)."""

    def search(self, spectrum: WhitenedResidual) -> Matched:
        """The significance of every template, (..., T)."""
        return matched(self.products(spectrum))

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
        """All templates, (..., T, N)."""

    def of_modes(self, templates: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """T' W^1/2 V of all ``templates`` t, (..., T, N) to (..., T, K)."""
        return (templates * spectrum.root[..., None, :]) @ spectrum.modes

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`TemplateBank`."""
        rows = self.templates(spectrum)
        along, full = along_rows(rows, spectrum.filtered), along_rows(rows.square(), spectrum.weight)
        return products(along, full, self.of_modes(rows, spectrum))

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`TemplateBank`."""
        return self.templates(spectrum)[chosen]


class SparseBank(TemplateBank):
    """A bank whose templates are a shape times what a spectrum is like, all zero but at a few pixels.

    Parameters
    ----------
    shapes : (T, N).
    """

    shapes: Tensor
    place: Tensor
    share: Tensor

    def __init__(self, shapes: Tensor) -> None:
        super().__init__()
        self.register_buffer("shapes", shapes, persistent=False)
        # Of every template the pixels where it is not zero; of one that has fewer than others, some more.
        most = max(int((shapes != 0).sum(dim=1).max()), 1)
        place = (shapes != 0).to(torch.int8).sort(dim=1, descending=True, stable=True).indices[:, :most]
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("share", shapes.gather(1, place), persistent=False)

    def height(self, spectrum: WhitenedResidual) -> Tensor:
        """What the shapes are multiplied by, (..., N)."""
        return torch.ones_like(spectrum.weight)

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`TemplateBank`."""
        row = self.share.to(spectrum.weight.dtype) * taken(self.height(spectrum), self.place)
        along = (row * taken(spectrum.filtered, self.place)).sum(dim=-1)
        scaled = row * taken(spectrum.root, self.place)
        return products(along, scaled.square().sum(dim=-1), picked(spectrum.modes, self.place, scaled))

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`TemplateBank`."""
        return self.shapes[chosen].to(spectrum.weight.dtype) * self.height(spectrum)


class BlockBank(TemplateBank):
    """A bank whose templates are written out by blocks of pixels, (T, M)."""

    @abstractmethod
    def in_blocks(self, spectrum: WhitenedResidual) -> Tensor:
        """All templates, (..., T, M)."""

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`TemplateBank`."""
        return products_of_bins(self.in_blocks(spectrum), spectrum.blocks)

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`TemplateBank`."""
        return of_blocks(self.in_blocks(spectrum)[chosen], len(spectrum.weight))


class BrightBlockBank(TemplateBank):
    """A bank whose templates are shares of the reconstruction, written out by blocks of pixels, (T, M)."""

    @abstractmethod
    def in_blocks(self, spectrum: WhitenedResidual) -> Tensor:
        """All shares, (T, M)."""

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`TemplateBank`."""
        return products_of_bins(self.in_blocks(spectrum), spectrum.bright_blocks)

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
        """Sums over every template's boxes, (..., T, L), of running ones (..., M + 1)."""
        return taken(running_sums, self.stops) - taken(running_sums, self.starts)

    def boxes_together(self, running_sums: Tensor, height: Tensor) -> Tensor:
        """Sums over all boxes of a template, times ``height`` (L,), (..., T, K), of running ones
        (..., M + 1, K).
        """
        return picked(running_sums, torch.cat((self.stops, self.starts), dim=1), torch.cat((height, -height)))

    def inside(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """1 in each box of the templates ``chosen`` (K,), else 0, (K, L, M)."""
        block = torch.arange(len(spectrum.blocks.weight), device=chosen.device)
        starts, stops = self.starts[chosen, :, None], self.stops[chosen, :, None]
        return ((block >= starts) & (block < stops)).to(spectrum.weight.dtype)


@dataclass(frozen=True, eq=False)
class DrawnLines:
    """L lines at the redshifts of spectra, each on the W bins around it.

    Attributes
    ----------
    place : (..., L, W), bins; value : (..., L, W), 0 where a bin is beyond the grid or the line.
    """

    place: Tensor
    value: Tensor


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
        self.register_buffer("sigma", sigma.float()[row, line, None] / SPEED_OF_LIGHT, persistent=False)
        self.register_buffer("height", height.float()[row, line, None], persistent=False)
        self.register_buffer("offset", torch.arange(-reach, reach + 1), persistent=False)

    def drawn(self, redshift: Tensor, kind: torch.dtype) -> DrawnLines:
        """Every line at redshifts (...)."""
        log_centre = (self.log_centre + torch.log1p(redshift)[..., None])[..., None]
        wanted = torch.searchsorted(self.log_wavelength, log_centre) + self.offset
        place = wanted.clamp(0, len(self.log_wavelength) - 1)
        # Differences of logarithms in float64: float32 has no digits to spare.
        away = (self.log_wavelength[place] - log_centre).to(kind) / self.sigma.to(kind)
        seen = (place == wanted) & (away.abs() <= _REACH)
        return DrawnLines(place, torch.exp(-0.5 * away.square()) * (seen * self.height.to(kind)))

    def rows(self, drawn: DrawnLines) -> Tensor:
        """All templates, (..., T, M)."""
        bins, before = len(self.log_wavelength), drawn.place.shape[:-2]
        rows = drawn.value.new_zeros(*before, self.count * bins)
        place = drawn.place + bins * self.row[:, None]
        rows.scatter_add_(-1, place.flatten(-2), drawn.value.flatten(-2))
        return torch.unflatten(rows, -1, (-1, bins))

    def of_modes(self, drawn: DrawnLines, modes: Tensor, root: Tensor) -> Tensor:
        """Of every template t' W^1/2 V, (..., T, K), with V (..., M, K) and W^1/2 (..., M)."""
        of_lines = picked(modes, drawn.place, drawn.value * taken(root, drawn.place))
        return of_lines.new_zeros(*of_lines.shape[:-2], self.count, modes.shape[-1]).index_add_(
            of_lines.dim() - 2, self.row, of_lines
        )


class LineBank(TemplateBank):
    """A bank of :class:`Lines` drawn on pixels; ``centre``, ``sigma`` and ``height`` are theirs."""

    def __init__(self, grid: WavelengthGrid, centre: Tensor, sigma: Tensor, height: Tensor) -> None:
        super().__init__()
        self.lines = Lines(torch.from_numpy(grid.wavelength()).log(), centre, sigma, height)

    def products(self, spectrum: WhitenedResidual) -> Products:
        """See :class:`TemplateBank`."""
        drawn = self.lines.drawn(spectrum.redshift, spectrum.weight.dtype)
        rows = self.lines.rows(drawn)
        along, full = along_rows(rows, spectrum.filtered), along_rows(rows.square(), spectrum.weight)
        return products(along, full, self.lines.of_modes(drawn, spectrum.modes, spectrum.root))

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`TemplateBank`."""
        return self.lines.rows(self.lines.drawn(spectrum.redshift, spectrum.weight.dtype))[chosen]


class BroadLineBank(BlockBank):
    """A bank of :class:`Lines` much broader than a block, drawn on blocks."""

    def __init__(self, grid: WavelengthGrid, centre: Tensor, sigma: Tensor, height: Tensor) -> None:
        super().__init__()
        self.lines = Lines(block_wavelengths(grid).log(), centre, sigma, height)

    def in_blocks(self, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`BlockBank`."""
        return self.lines.rows(self.lines.drawn(spectrum.redshift, spectrum.weight.dtype))


def products_of_bins(rows: Tensor, sums: Sums) -> Products:
    """Of templates written out by bins, (..., T, M)."""
    along, full = along_rows(rows, sums.filtered), along_rows(rows.square(), sums.weight)
    return products(along, full, rows @ sums.modes)


def along_rows(rows: Tensor, values: Tensor) -> Tensor:
    """Sums of values (..., M) times rows (..., T, M), (..., T)."""
    return (values[..., None, :] @ rows.mT)[..., 0, :]


def block_wavelengths(grid: WavelengthGrid) -> Tensor:
    """Wavelengths of the middles of blocks of pixels, (M,) float64, Angstrom; the last may be cut."""
    count = -(-grid.size // BLOCK)
    middle = BLOCK * np.arange(count, dtype=np.float64) + (BLOCK - 1) / 2
    return torch.from_numpy(grid.wavelength_at(middle))
