"""The readout of the model that ships: density, residual factors and searches, joined."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.local.differences import Difference, Terms, difference, evaluated
from models.local.pixel_readout import FeaturesOf, PixelReadout, ReadoutRule
from models.scoring.density import ConditionedDensity
from models.scoring.joint_score import MISFIT, JointScore
from models.scoring.residual_scan import BEND, SHRINKAGE, excitation
from models.scoring.searches import Searches

CELLS_AT_ONCE = 64
"""Features whose running sums are made at once."""
_ROWS_AT_ONCE = 128
"""(baseline, window) rows whose cells are worked on at once."""
_LARGEST = 80.0
"""Largest change of a cell's evidence whose exponential float32 holds."""
_MOST_LOST = -0.5
"""Sums of share * (exp(change) - 1) below this have lost digits against one."""


class ScanReadout(PixelReadout):
    """Minus the score, of latents (B, S' >= S) and of significances (B, C + T + K).

    The features are what flux adds to the significances of C cells, and K + T sums of it weighted by
    profiles, those of K modes and T templates.

    Parameters
    ----------
    density : of the S latents, at this spectrum's depth and redshift.
    hidden : decoder's layers before its last, (B, S) to (B, H).
    drawn, offset : (C + T + K, H) and (C + T + K,), significances of the reconstruction per unit of the last
        hidden layer, and at its zero.
    scale, template_scale : (C,) and (T,), significance of a cell, and of a template, per unit of its sum of
        weighted flux.
    mixing : (K, C + T + K), all significances per unit of the sums of flux weighted by the modes.
    searches : of the cells and templates.
    joint : from the parts to the score; depth, redshift : (), of this spectrum.
    misfit : (), of this spectrum, a raw part. Whatever the flux, parts are compared with usual spectra of it:
        what is held of an odd spectrum would be odder still in a baseline that is drawn well.
    weight : (N,), of each pixel; starts, stops : (C,), first pixel of each cell, and the one after its last;
        profiles : (N, K + T), weights of the sums of modes and templates.
    """

    drawn: Tensor
    offset: Tensor
    scale: Tensor
    template_scale: Tensor
    mixing: Tensor
    median: Tensor
    width: Tensor
    misfit: Tensor
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
        template_scale: Tensor,
        mixing: Tensor,
        searches: Searches,
        joint: JointScore,
        depth: Tensor,
        redshift: Tensor,
        misfit: Tensor,
        weight: Tensor,
        starts: Tensor,
        stops: Tensor,
        profiles: Tensor,
    ) -> None:
        super().__init__()
        self.density, self.hidden, self.searches, self.joint = density, hidden, searches, joint
        median, width = joint.strata(depth, redshift)
        buffers = {
            "drawn": drawn, "offset": offset, "scale": scale, "template_scale": template_scale,
            "mixing": mixing, "median": median, "width": width,
            "misfit": (misfit.to(median.dtype) - median[MISFIT]) / width[MISFIT],
            "weight": weight, "starts": starts, "stops": stops, "profiles": profiles,
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
    def searched(self) -> int:
        """Number of cells and templates, C + T."""
        return sum(self.searches.sizes)

    @property
    def features(self) -> int:
        """See :class:`models.local.pixel_readout.PixelReadout`."""
        return self.cells + self.profiles.shape[1]

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
        """Of cells, templates, modes, (..., S) and (..., C + K + T) to (..., C + T + K)."""
        modes = len(self.mixing)
        in_cells, of_modes, in_templates = torch.split(
            features, [self.cells, modes, len(self.template_scale)], dim=-1
        )
        own = nn.functional.pad(torch.cat((in_cells, in_templates * self.template_scale), dim=-1), (0, modes))
        drawn = nn.functional.linear(self.hidden(latents), self.drawn)
        return own + of_modes @ self.mixing - self.offset - drawn

    def raw_parts(self, outputs: Tensor, significance: Tensor) -> Tensor:
        """The parts of the score, (..., S') and (..., C + T + K) to (..., P)."""
        misfit = excitation(significance[..., self.searched :])
        found = self.searches.log_ratios(significance[..., : self.searched])
        density = -self.density(outputs[..., : self.latents])
        return torch.cat((density[..., None], misfit[..., None], found), dim=-1)

    def score_of(self, raw: Tensor) -> Tensor:
        """The score of the parts, (..., P) to (..., 1), float64."""
        standard = (raw.to(self.median.dtype) - self.median) / self.width
        return self.joint.of_standard(standard, self.misfit.expand(standard.shape[:-1]))[..., None]

    def forward(self, outputs: Tensor, features: Tensor) -> Tensor:
        """(B, S') and (B, C + K + T) to (B,)."""
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
            + self._readout.searched
        )

    def terms(self, outputs: Tensor, features: Tensor, dtype: torch.dtype) -> Terms:
        readout = self._readout
        latents, searches = outputs[..., : readout.latents], readout.searches
        significance = readout.significance(latents, features)
        searched = significance[..., : readout.searched]
        counted = searches.counted(searched)
        log_terms = searches.log_terms(searched)
        signed = searches.signed(searched)[readout.cells :]
        below = (searched - counted)[..., readout.cells :]
        least = torch.where(signed, -counted[..., readout.cells :], -torch.inf)
        significance_counted = torch.cat((counted, significance[..., readout.searched :]), dim=-1)
        sums = searches.log_sums(log_terms)
        counts = torch.tensor(searches.sizes, device=sums.device)
        log_share = log_terms - torch.repeat_interleave(sums, counts, dim=-1)
        return (
            (2 * significance_counted).to(dtype),
            significance_counted.to(dtype),
            below.to(dtype),
            least.to(dtype),
            torch.sqrt(1 + (counted / BEND).square()).to(dtype),
            log_share.exp().to(dtype),
            log_share.to(dtype),
            (searches.log_rest - sums).to(dtype),
            torch.cat((-readout.drawn.T, readout.mixing)).to(dtype),
            readout.template_scale.to(dtype),
            (SHRINKAGE * searches.powers(searched)).to(dtype),
            searches.membership(searched).to(dtype),
            self._density.terms(latents, dtype),
            self._hidden.terms(latents, dtype),
            self._joint.terms(readout.raw_parts(outputs, significance), dtype),
        )

    def change(self, outputs: Tensor, features: FeaturesOf, terms: Terms) -> Tensor:
        *of_searches, of_density, of_hidden, of_joint = terms
        latents = outputs[..., : self._readout.latents]
        hidden = self._hidden.change(latents, of_hidden)
        raw = outputs.new_empty(*outputs.shape[:-1], 2 + len(self._readout.searches.sizes))
        raw[..., 0] = self._density.change(latents, of_density)[..., 0].neg_()
        windows, modes = outputs.shape[1], len(self._readout.mixing)
        # So few that all of their cells stay in a cache.
        step = max(_ROWS_AT_ONCE // len(outputs), 1)
        for low in range(0, windows, step):
            high = min(low + step, windows)
            of_cells, of_profiles = features(low, high)
            inputs = torch.cat((hidden[:, low:high], of_profiles[..., :modes]), dim=-1)
            raw[:, low:high, 1:] = self._searched(inputs, of_cells, of_profiles[..., modes:], *of_searches)
        return -self._joint.change(raw, of_joint)[..., 0]

    def _searched(
        self,
        inputs: Tensor,
        of_cells: Tensor,
        of_templates: Tensor,
        twice: Tensor,
        significance: Tensor,
        below: Tensor,
        least: Tensor,
        root: Tensor,
        share: Tensor,
        log_share: Tensor,
        log_rest: Tensor,
        matrix: Tensor,
        template_scale: Tensor,
        powers: Tensor,
        membership: Tensor,
    ) -> Tensor:
        """Changes of excitation and of every log ratio, (M, k, 1 + G).

        For those of hidden layer and modes (M, k, H + K), and of what flux adds to cells (M, k, C) and to
        templates (M, k, T).
        """
        searches, searched = self._readout.searches, self._readout.searched
        moved = (inputs.flatten(0, 1) @ matrix).view(*inputs.shape[:2], -1)
        moved[..., : self._readout.cells] += of_cells
        templates = moved[..., self._readout.cells : searched].addcmul_(of_templates, template_scale)
        # max(s + d, 0) - max(s, 0) of templates that count above zero alone; nothing else is cut.
        torch.maximum(templates.add_(below), least, out=templates)
        after = moved + significance
        # t'^2 - t^2 = d (2 t + d), for d = t' - t.
        moved.mul_(moved + twice)
        misfit = 0.5 * moved[..., searched:].sum(dim=-1)
        # BEND^2 (sqrt(1 + u'^2) - sqrt(1 + u^2)) = (t'^2 - t^2) / (sqrt(1 + u'^2) + sqrt(1 + u^2)).
        after, moved = after[..., :searched], moved[..., :searched]
        after.mul_(1 / BEND).square_().add_(1).sqrt_().add_(root)
        moved.div_(after).mul_(powers)
        found = _log_sum_changes(moved, share, log_share, log_rest, membership, searches)
        return torch.cat((misfit[..., None], found), dim=-1)


def _log_sum_changes(
    change: Tensor,
    share: Tensor,
    log_share: Tensor,
    log_rest: Tensor,
    membership: Tensor,
    searches: Searches,
) -> Tensor:
    """Changes of the log ratio of every search, (M, n, F) to (M, n, G); see :func:`_log_sum_change`."""
    kept = share * torch.expm1(change)
    sums = (kept.flatten(0, 1) @ membership).view(*kept.shape[:2], -1)
    result = torch.log1p(sums)
    beyond = (sums < _MOST_LOST).any(dim=-1) | (change.amax(dim=-1) > _LARGEST)
    if beyond.any():
        whole = (each.expand_as(change)[beyond] for each in (change, share, log_share))
        parts = (torch.split(each, list(searches.sizes), dim=-1) for each in whole)
        rests = log_rest.expand_as(result)[beyond].unbind(dim=-1)
        again = [_log_sum_change(*of_search) for of_search in zip(*parts, rests, strict=True)]
        result[beyond] = torch.stack(again, dim=-1)
    return result / result.new_tensor(searches.sharpness)


def _log_sum_change(change: Tensor, share: Tensor, log_share: Tensor, log_rest: Tensor) -> Tensor:
    """Log of the sum over features of share * exp(change), and of the rest that does not change.

    Of changes, shares and their logs (R, F), and of the rest's (R,), it is (R,). Shares and rest sum to one,
    so it is the log of one plus the sum of share * (exp(change) - 1), which keeps small changes; unless
    nearly all of it is lost, or the exponential overflows. A share may be too small for float32, and yet be
    all that is left.
    """
    sums = (share * torch.expm1(change)).sum(dim=-1)
    beyond = (change.amax(dim=-1) > _LARGEST) | (sums < _MOST_LOST)
    left = torch.logaddexp(torch.logsumexp(change + log_share, dim=-1), log_rest)
    return torch.where(beyond, left, torch.log1p(sums))
