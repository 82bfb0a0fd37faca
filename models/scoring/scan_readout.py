"""The readout of the model that ships: density, residual factors, residual scan and novelty, joined."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.local.differences import Difference, Terms, difference, evaluated
from models.local.pixel_readout import FeaturesOf, PixelReadout, ReadoutRule
from models.scoring.density import ConditionedDensity
from models.scoring.joint_score import JointScore
from models.scoring.residual_scan import BEND, SHRINKAGE, evidence, excitation, log_ratio

CELLS_AT_ONCE = 64
"""Features whose running sums are made at once."""
_ROWS_AT_ONCE = 128
"""(baseline, window) rows whose cells are worked on at once."""
_LARGEST = 80.0
"""Largest change of a cell's evidence whose exponential float32 holds."""
_MOST_LOST = -0.5
"""Sums of share * (exp(change) - 1) below this have lost digits against one."""


class ScanReadout(PixelReadout):
    """Minus the score, of latents and novelty (B, S + 1) and of significances (B, C + K).

    The features are what flux adds to the significances of C cells, and K sums of it weighted by profiles.

    Parameters
    ----------
    density : of the S latents, at this spectrum's depth and redshift.
    hidden : decoder's layers before its last, (B, S) to (B, H).
    drawn, offset : (C + K, H) and (C + K,), significances of the reconstruction per unit of the last hidden
        layer, and at its zero.
    scale : (C,), significance of a cell per unit of its sum of weighted flux.
    mixing : (K, C + K), all significances per unit of the sums of flux weighted by the profiles.
    log_prior : (C,), see :class:`models.scoring.residual_scan.ScanContext`.
    joint : from the four parts to the score; depth, redshift : (), of this spectrum.
    weight : (N,), of each pixel; starts, stops : (C,), first pixel of each cell, and the one after its last;
        profiles : (N, K), weights of the sums that are mixed.
    """

    drawn: Tensor
    offset: Tensor
    scale: Tensor
    mixing: Tensor
    log_prior: Tensor
    depth: Tensor
    redshift: Tensor
    weight: Tensor
    starts: Tensor
    stops: Tensor
    profiles: Tensor

    def __init__(
        self,
        density: ConditionedDensity,
        hidden: nn.Module,
        drawn: Tensor,
        offset: Tensor,
        scale: Tensor,
        mixing: Tensor,
        log_prior: Tensor,
        joint: JointScore,
        depth: Tensor,
        redshift: Tensor,
        weight: Tensor,
        starts: Tensor,
        stops: Tensor,
        profiles: Tensor,
    ) -> None:
        super().__init__()
        self.density, self.hidden, self.joint = density, hidden, joint
        buffers = {
            "drawn": drawn, "offset": offset, "scale": scale, "mixing": mixing, "log_prior": log_prior,
            "depth": depth, "redshift": redshift, "weight": weight, "starts": starts, "stops": stops,
            "profiles": profiles,
        }  # fmt: skip
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    @property
    def latents(self) -> int:
        """Number of latents S."""
        return len(self.density.density.centre)

    @property
    def cells(self) -> int:
        """Number of cells C."""
        return len(self.scale)

    @property
    def features(self) -> int:
        """See :class:`models.local.pixel_readout.PixelReadout`."""
        return len(self.offset)

    def running(self, flux: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """See :class:`models.local.pixel_readout.PixelReadout`: of cells, which are short, and of
        profiles.
        """
        known = torch.where(self.weight > 0, flux, 0.0).double()
        sums = nn.functional.pad((known * self.weight).cumsum(dim=1), (1, 0))
        profiles = nn.functional.pad((known[..., None] * self.profiles).cumsum(dim=1), (0, 0, 1, 0))
        place = torch.arange(sums.shape[1], device=flux.device)[:, None]
        of_cells = sums.new_empty(*sums.shape, self.cells, dtype=dtype)
        for low in range(0, self.cells, CELLS_AT_ONCE):
            part = slice(low, low + CELLS_AT_ONCE)
            starts, stops = self.starts[part], self.stops[part]
            within = sums[:, place.clamp(starts[None], stops[None])]
            of_cells[..., part] = within.sub_(sums[:, None, starts]).mul_(self.scale[part])
        return of_cells, profiles

    def of_flux(self, flux: Tensor) -> Tensor:
        """See :class:`models.local.pixel_readout.PixelReadout`."""
        known = torch.where(self.weight > 0, flux, 0.0)
        sums = nn.functional.pad((known.double() * self.weight).cumsum(dim=1), (1, 0))
        of_cells = ((sums[:, self.stops] - sums[:, self.starts]) * self.scale).to(flux.dtype)
        return torch.cat((of_cells, known @ self.profiles), dim=-1)

    def significance(self, latents: Tensor, features: Tensor) -> Tensor:
        """Of cells, then of modes, (..., S) and (..., C + K) to (..., C + K)."""
        in_cells = nn.functional.pad(features[..., : self.cells], (0, len(self.mixing)))
        explained = features[..., self.cells :] @ self.mixing
        return in_cells + explained - self.offset - nn.functional.linear(self.hidden(latents), self.drawn)

    def raw_parts(self, outputs: Tensor, significance: Tensor) -> Tensor:
        """The parts of the score, (..., S + 1) and (..., C + K) to (..., 4)."""
        latents, novelty = outputs[..., : self.latents], outputs[..., self.latents]
        scan = log_ratio(significance[..., : self.cells], self.log_prior)
        misfit = excitation(significance[..., self.cells :])
        return torch.stack((-self.density(latents), misfit, scan, novelty), dim=-1)

    def score_of(self, raw: Tensor) -> Tensor:
        """The score of the four parts, (..., 4) to (..., 1), float64."""
        score: Tensor = self.joint(raw, self.depth, self.redshift)
        return score[..., None]

    def forward(self, outputs: Tensor, features: Tensor) -> Tensor:
        """(B, S + 1) and (B, C + K) to (B,)."""
        raw = self.raw_parts(outputs, self.significance(outputs[..., : self.latents], features))
        return -self.score_of(raw)[..., 0].to(outputs.dtype)

    def rule(self) -> ReadoutRule:
        """See :class:`models.local.pixel_readout.PixelReadout`."""
        return _ScanRule(self)


class _ScanRule(ReadoutRule):
    def __init__(self, readout: ScanReadout) -> None:
        self._readout = readout
        self._density: Difference = difference(readout.density)
        self._hidden: Difference = difference(readout.hidden)
        self._joint: Difference = evaluated(readout.score_of)

    @property
    def multiply_adds(self) -> int:
        return (
            self._density.multiply_adds
            + self._hidden.multiply_adds
            + self._readout.drawn.numel()
            + self._readout.mixing.numel()
            + self._readout.cells
        )

    def terms(self, outputs: Tensor, features: Tensor, dtype: torch.dtype) -> Terms:
        readout = self._readout
        latents = outputs[..., : readout.latents]
        significance = readout.significance(latents, features)
        cells = significance[..., : readout.cells]
        log_share = torch.log_softmax(readout.log_prior + evidence(cells), dim=-1)
        return (
            (2 * significance).to(dtype),
            significance.to(dtype),
            torch.sqrt(1 + (cells / BEND).square()).to(dtype),
            log_share.exp().to(dtype),
            log_share.to(dtype),
            torch.cat((-readout.drawn.T, readout.mixing)).to(dtype),
            self._density.terms(latents, dtype),
            self._hidden.terms(latents, dtype),
            self._joint.terms(readout.raw_parts(outputs, significance), dtype),
        )

    def change(self, outputs: Tensor, features: FeaturesOf, terms: Terms) -> Tensor:
        *of_scan, of_density, of_hidden, of_joint = terms
        count = self._readout.latents
        latents = outputs[..., :count]
        hidden = self._hidden.change(latents, of_hidden)
        raw = outputs.new_empty(*outputs.shape[:-1], 4)
        raw[..., 0] = self._density.change(latents, of_density)[..., 0].neg_()
        raw[..., 3] = outputs[..., count]
        windows = outputs.shape[1]
        # So few that all of their cells stay in a cache.
        step = max(_ROWS_AT_ONCE // len(outputs), 1)
        for low in range(0, windows, step):
            high = min(low + step, windows)
            of_cells, of_profiles = features(low, high)
            inputs = torch.cat((hidden[:, low:high], of_profiles), dim=-1)
            raw[:, low:high, 1:3] = self._scanned(inputs, of_cells, *of_scan)
        return -self._joint.change(raw, of_joint)[..., 0]

    def _scanned(
        self,
        inputs: Tensor,
        of_cells: Tensor,
        twice: Tensor,
        significance: Tensor,
        root: Tensor,
        share: Tensor,
        log_share: Tensor,
        matrix: Tensor,
    ) -> Tensor:
        """Changes of excitation and log ratio, (M, k, 2).

        For those of hidden layer and profiles (M, k, H + K), and of what flux adds to cells (M, k, C).
        """
        cells = self._readout.cells
        moved = (inputs.flatten(0, 1) @ matrix).view(*inputs.shape[:2], -1)
        moved[..., :cells] += of_cells
        after = moved + significance
        # t'^2 - t^2 = d (2 t + d), for d = t' - t.
        moved.mul_(moved + twice)
        misfit = 0.5 * moved[..., cells:].sum(dim=-1)
        # BEND^2 (sqrt(1 + u'^2) - sqrt(1 + u^2)) = (t'^2 - t^2) / (sqrt(1 + u'^2) + sqrt(1 + u^2)).
        after, moved = after[..., :cells], moved[..., :cells]
        after.mul_(1 / BEND).square_().add_(1).sqrt_().add_(root)
        moved.div_(after).mul_(SHRINKAGE)
        return torch.stack((misfit, _log_mean_exp_change(moved, share, log_share)), dim=-1)


def _log_mean_exp_change(change: Tensor, share: Tensor, log_share: Tensor) -> Tensor:
    """Log of the sum over cells of share * exp(change), (M, n, C) and twice (M, 1, C) to (M, n).

    ``share`` sums to one, so it is the log of one plus the sum of share * (exp(change) - 1), which keeps
    small changes; unless nearly all of it is lost, or the exponential overflows.
    """
    beyond = change.amax(dim=-1) > _LARGEST
    # One by one: a batch of products of a matrix and a vector is many times slower.
    pairs = zip(torch.expm1(change), share[:, 0], strict=True)
    sum_of = torch.stack([torch.mv(own, own_share) for own, own_share in pairs])
    beyond |= sum_of < _MOST_LOST
    result = torch.log1p(sum_of)
    if beyond.any():
        # A share may be too small for float32, and yet be all that is left.
        logs = log_share.expand_as(change)
        result[beyond] = torch.logsumexp(change[beyond] + logs[beyond], dim=-1)
    return result
