"""The residual scan: a likelihood ratio for an addition of unknown place, width and strength.

First it projects the modes U of ``models.scoring.residual_factors`` out of the residual r. With noise W^-1
its covariance is C = W^-1 + U U', and C^-1 = W^1/2 (1 - V V') W^1/2 with the whitened modes V = W^1/2 U L,
where L L' = (1 + U' W U)^-1 (Woodbury). Then it averages over overlapping cells of several widths, and
compares each average with what noise and the rest of the model's misfit leave in the cell. The likelihood
ratio of an addition to nothing is the mean over cells of exp(t^2/2 * v/(1+v)), with t the cell's significance
and v the prior variance of the strength (``models.scoring.searches``): the most powerful test for such an
addition (Neyman & Pearson 1933, averaged over the prior). Far out a line replaces the square (pseudo-Huber),
because real residuals have longer tails than normal ones. The excitation of the modes themselves is half the
square of U' W r, whitened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.causes.whitened import modes_in_blocks, picked
from models.grid import WavelengthGrid
from models.scoring.placed_modes import PlacedModes

SHRINKAGE = 0.9
"""v / (1 + v): strengths of three standard deviations are expected."""
BEND = 6.0
"""Significance around which the square becomes a line."""
_FIRST_MISFIT = math.log(0.01)
NODE_STEP = 0.002
"""Distance of the misfit's nodes, log10 of rest wavelength: 23 Angstrom at 5000."""


@dataclass(frozen=True, eq=False)
class Projection:
    """The projection of K modes out of residuals, for B spectra and C cells.

    Attributes
    ----------
    weight : (B, N), the inverse variance.
    modes : (B, N, K), the whitened modes V: W^1/2 U L, with L L' = (1 + U' W U)^-1.
    of_cells : (B, C, K), loss of the cells' sums of weight * residual per unit of V' W^1/2 r.
    information : (B, C), inverse variance left in cells; 0 where no pixel is good.
    whitening : (B, K, K), makes V' W^1/2 r of unit covariance.
    """

    weight: Tensor
    modes: Tensor
    of_cells: Tensor
    information: Tensor
    whitening: Tensor


@dataclass(frozen=True, eq=False)
class ScanContext:
    """The scan's inputs beside the residual, for B spectra and C cells.

    Attributes
    ----------
    projection : of the modes.
    scale : (B, C), one over the standard deviation of a cell's corrected sum; 0 where no pixel of the cell
        is good.
    log_prior : (B, C), natural log of each cell's share among those of its width; minus infinity where no
        pixel is good.
    """

    projection: Projection
    scale: Tensor
    log_prior: Tensor


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Of B spectra: ``cells`` (B, C) and ``modes`` (B, K), of unit variance in usual spectra."""

    cells: Tensor
    modes: Tensor


class ResidualScan(nn.Module):
    """Significances of cells of several widths.

    Parameters
    ----------
    grid : observed wavelengths.
    redshift_max : largest redshift; beyond the nodes the misfit is constant.
    widths : (width, step) in pixels of every scale's cells.
    """

    starts: Tensor
    stops: Tensor
    scale_of: Tensor
    log10_centre: Tensor
    log_misfit: Tensor
    log_noise: Tensor

    def __init__(self, grid: WavelengthGrid, redshift_max: float, widths: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.widths = tuple((int(width), int(step)) for width, step in widths)
        self.block = math.gcd(*(pixels for cells in self.widths for pixels in cells))
        starts, stops, scales = [], [], []
        for number, (width, step) in enumerate(self.widths):
            first = torch.arange(math.ceil(max(grid.size - width, 0) / step) + 1) * step
            starts.append(first)
            stops.append((first + width).clamp(max=grid.size))
            scales.append(torch.full_like(first, number))
        self.register_buffer("starts", torch.cat(starts), persistent=False)
        self.register_buffer("stops", torch.cat(stops), persistent=False)
        self.register_buffer("scale_of", torch.cat(scales), persistent=False)
        log10 = torch.from_numpy(grid.wavelength()).log10()
        centre = ((self.starts + self.stops - 1) // 2).clamp(max=grid.size - 1)
        self.register_buffer("log10_centre", log10[centre], persistent=False)
        self.first_node = float(log10[0]) - math.log10(1 + redshift_max)
        nodes = math.ceil((float(log10[-1]) - self.first_node) / NODE_STEP) + 2
        self.register_buffer("log_misfit", torch.full((len(self.widths), nodes), _FIRST_MISFIT))
        self.register_buffer("log_noise", torch.zeros(len(self.widths)))

    @property
    def cells(self) -> int:
        """Number of cells C."""
        return len(self.starts)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of cells of every width."""
        return tuple(int((self.scale_of == number).sum()) for number in range(len(self.widths)))

    def sums(self, values: Tensor) -> Tensor:
        """Sums over cells, (..., N) to (..., C)."""
        padded = nn.functional.pad(values, (0, -values.shape[-1] % self.block)).contiguous()
        blocks = padded.view(*padded.shape[:-1], -1, self.block).sum(dim=-1)
        return self._of_blocks(blocks, values.shape[-1])

    def _sums_of_modes(self, modes: Tensor, root: Tensor) -> Tensor:
        """Sums over cells of modes (B, N, K) times ``root`` (B, N), (B, C, K)."""
        blocks = modes_in_blocks(modes, root, self.block)
        parts = []
        for (width, _), cells in zip(self.widths, torch.split(self.starts, list(self.sizes)), strict=True):
            place = cells[:, None] // self.block + torch.arange(width // self.block, device=cells.device)
            inside = (place < blocks.shape[1]).to(blocks.dtype)
            parts.append(picked(blocks, place.clamp(max=blocks.shape[1] - 1), inside))
        return torch.cat(parts, dim=1)

    def _of_blocks(self, blocks: Tensor, pixels: int) -> Tensor:
        """From sums over blocks of neighbouring pixels, of which every cell is made, to those over cells."""
        flat = blocks.reshape(-1, 1, blocks.shape[-1])
        parts = []
        for width, step in self.widths:
            count = math.ceil(max(pixels - width, 0) / step) + 1
            taken, stride = width // self.block, step // self.block
            padded = nn.functional.pad(flat, (0, max((count - 1) * stride + taken - flat.shape[-1], 0)))
            padded = padded[..., : (count - 1) * stride + taken]
            parts.append(nn.functional.avg_pool1d(padded, taken, stride) * taken)
        return torch.cat(parts, dim=-1).reshape(*blocks.shape[:-1], -1)

    def nodes(self, redshift: Tensor) -> tuple[Tensor, Tensor]:
        """Left node of each cell's rest wavelength and how far towards the next, (B, C) each."""
        rest = self.log10_centre[None] - torch.log10(1 + redshift.double())[:, None]
        place = ((rest - self.first_node) / NODE_STEP).clamp(0, self.log_misfit.shape[1] - 1.001)
        left = place.floor().long()
        return left, (place - left).to(self.log_misfit.dtype)

    def variance(self, information: Tensor, nodes: tuple[Tensor, Tensor]) -> Tensor:
        """Variance of the mean residual of cells that hold so much inverse variance, (B, C)."""
        left, fraction = nodes
        log_misfit = self.log_misfit[self.scale_of[None], left] * (1 - fraction)
        log_misfit = log_misfit + self.log_misfit[self.scale_of[None], left + 1] * fraction
        noise = torch.exp(self.log_noise)[self.scale_of] / information.clamp_min(1e-12)
        return noise + torch.exp(2 * log_misfit)

    def context(self, ivar: Tensor, redshift: Tensor, modes: PlacedModes) -> ScanContext:
        """For inverse variances (B, N), redshifts (B,) and the modes of these spectra."""
        projection = self.projection(ivar, modes)
        information = projection.information
        usable = information > 1e-9
        deviation = torch.sqrt(self.variance(information, self.nodes(redshift)))
        scale = torch.where(usable, 1 / (information.clamp_min(1e-9) * deviation), 0.0)
        log_prior = torch.full_like(scale, -math.inf)
        for number in range(len(self.widths)):
            own = usable & (self.scale_of == number)
            share = own.sum(dim=1, keepdim=True).clamp_min(1).to(scale.dtype)
            log_prior = torch.where(own, -torch.log(share), log_prior)
            # Without a usable cell nothing is found: cells of significance zero.
            none = ~own.any(dim=1, keepdim=True) & (self.scale_of == number)
            log_prior = torch.where(none, -math.log(max(int((self.scale_of == number).sum()), 1)), log_prior)
        return ScanContext(projection, scale, log_prior)

    def projection(self, ivar: Tensor, modes: PlacedModes) -> Projection:
        """For inverse variances (B, N) and the modes of these spectra."""
        product = modes.gram(ivar).double()
        one = torch.eye(product.shape[-1], dtype=product.dtype, device=product.device)
        solve = torch.linalg.solve_triangular
        outer = _or_nan(torch.linalg.cholesky_ex(one + product))
        root = ivar.sqrt()
        whitened = modes.times(solve(outer.mT, one.expand_as(outer), upper=True).to(ivar.dtype), root)
        # The covariance of U' W r is P + P^2 = L (1 + L' L) L', with P = U' W U = L L'. Modes of which the
        # spectrum shows nothing, or what others show too, are given no weight.
        least = 1e-6 * (1 + product.diagonal(dim1=1, dim2=2).mean(dim=1))
        lower = _or_nan(torch.linalg.cholesky_ex(product + least[:, None, None] * one))
        inner = _or_nan(torch.linalg.cholesky_ex(one + lower.mT @ lower))
        whitening = solve(inner, solve(lower, outer, upper=False), upper=False).to(ivar.dtype)
        of_cells = self._sums_of_modes(whitened, root)
        full = self.sums(ivar)
        information = full - of_cells.square().sum(dim=-1)
        # Of a cell that the modes explain wholly, rounding is left.
        information = torch.where(information > 1e-3 * full, information, 0.0)
        return Projection(ivar, whitened, of_cells, information, whitening)

    def corrected(self, residual: Tensor, projection: Projection) -> tuple[Tensor, Tensor]:
        """Cells' sums of weight * residual without what modes explain, (B, C), and V' W^1/2 r, (B, K)."""
        weight = projection.weight
        known = torch.where(weight > 0, residual, 0.0)
        strength = ((known * weight.sqrt())[:, None] @ projection.modes)[:, 0]
        return self.sums(known * weight) - (projection.of_cells @ strength[..., None])[..., 0], strength

    def forward(self, residual: Tensor, context: ScanContext) -> ScanResult:
        """Significances in residuals (B, N)."""
        sums, strength = self.corrected(residual, context.projection)
        modes = (context.projection.whitening @ strength[..., None])[..., 0]
        return ScanResult(sums * context.scale, modes)


def evidence(significance: Tensor) -> Tensor:
    """Log likelihood ratio of a cell, up to a constant; any shape."""
    return SHRINKAGE * BEND**2 * (torch.sqrt(1 + (significance / BEND).square()) - 1)


def excitation(modes: Tensor) -> Tensor:
    """Half the sum of squares of the modes' significances, (..., K) to (...)."""
    return 0.5 * modes.square().sum(dim=-1)


@dataclass(frozen=True, eq=False)
class CellMeans:
    """Of n spectra: corrected mean residuals (n, C), their information (n, C), redshifts (n,)."""

    mean: Tensor
    information: Tensor
    redshift: Tensor


def cell_means(
    scan: ResidualScan, residual: Tensor, ivar: Tensor, redshift: Tensor, modes: PlacedModes
) -> CellMeans:
    """What :func:`fit_misfit` learns from, of residuals (n, N)."""
    projection = scan.projection(ivar, modes)
    sums, _ = scan.corrected(residual, projection)
    information = projection.information
    return CellMeans(sums / information.clamp_min(1e-9), information, redshift)


def fit_misfit(scan: ResidualScan, found: CellMeans, rounds: int = 300) -> None:
    """Set the rest of the misfit to its maximum-likelihood value for usual spectra, whatever it was.

    A penalty ties neighbouring nodes together, so that rarely seen rest wavelengths follow their neighbours.
    """
    usable = (found.information > 1e-9).to(found.mean.dtype)
    nodes = scan.nodes(found.redshift)
    with torch.enable_grad():
        start = torch.full_like(scan.log_misfit, _FIRST_MISFIT), torch.zeros_like(scan.log_noise)
        values = [value.requires_grad_() for value in start]
        optimiser = torch.optim.Adam(values, lr=0.05)
        for _ in range(rounds):
            scan.log_misfit, scan.log_noise = values
            variance = scan.variance(found.information, nodes)
            # Long tails: Student's t of four degrees of freedom.
            nll = 0.5 * torch.log(variance) + 2.5 * torch.log1p(found.mean.square() / (4 * variance))
            roughness = (values[0][:, 1:] - values[0][:, :-1]).square().sum()
            loss = (nll * usable).sum() + roughness
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    scan.log_misfit, scan.log_noise = (value.detach() for value in values)


def _or_nan(solved: tuple[Tensor, Tensor]) -> Tensor:
    """Matrices and what failed of them, NaN there: one spectrum must not end its batch."""
    matrices, failed = solved
    return torch.where((failed == 0)[..., None, None], matrices, math.nan)
