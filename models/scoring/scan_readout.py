"""The readout of the model that ships: density, residual factors and searches, joined."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from models.local.differences import Difference, Terms, difference, evaluated
from models.local.pixel_readout import PixelReadout, ReadoutRule, Windows
from models.scoring.density import ConditionedDensity
from models.scoring.joint_score import MISFIT, JointScore
from models.scoring.residual_scan import BEND, SHRINKAGE, excitation
from models.scoring.searches import Searches

_BLOCK = 8
"""Pixels between the places at which running sums are kept."""
_BLOCKS_AT_ONCE = 32
"""Blocks whose response is made at once, in float64."""
_ROWS_AT_ONCE = 256
"""(baseline, window) rows whose cells are worked on at once."""
_WINDOWS_AT_ONCE = 64
"""Most windows of these: every one takes the response of some pixels."""
_LARGEST = 60.0
"""Largest change of a cell's evidence whose exponential makes up for no share that float32 cannot hold."""
_STEP = 1e-6
"""Change of latents that tells the slope of the hidden layer."""
_ROUNDINGS = 16
"""Roundings by which a straight line may differ from the hidden layer and pass for it."""
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

    @property
    def unit(self) -> Tensor:
        """What significances, (C + T + K,), are multiplied by where changes are carried."""
        of_searched = SHRINKAGE * BEND * self.searches.powers(self.scale)
        return nn.functional.pad(of_searched, (0, len(self.mixing)), value=1.0)

    def tables(self, flux: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """See :class:`models.local.pixel_readout.PixelReadout`.

        Of type ``dtype`` the flux (M, N), and what a flux of one in a pixel adds to all significances,
        (N, C + T + K); in float64 what all flux before every block adds to them, (blocks + 1, M, C + T + K).
        """
        known = torch.where(self.weight > 0, flux, 0.0)
        pixels, unit = flux.shape[1], self.unit
        response = flux.new_empty(pixels, len(self.drawn), dtype=dtype)
        before = flux.new_empty(-(-pixels // _BLOCK) + 1, len(flux), len(self.drawn))
        before[0] = before[-1] = 0
        step = _BLOCKS_AT_ONCE * _BLOCK
        for low in range(0, pixels, step):
            high = min(low + step, pixels)
            own = self._response(low, high).mul_(unit)
            response[low:high] = own
            # No window needs the last block if it is not whole.
            blocks, first = (high - low) // _BLOCK, low // _BLOCK + 1
            whole = slice(low, low + blocks * _BLOCK)
            of_blocks = known[:, whole].reshape(len(flux), blocks, _BLOCK).transpose(0, 1)
            own = own[: blocks * _BLOCK].view(blocks, _BLOCK, len(self.drawn))
            before[first : first + blocks] = of_blocks @ own
        for last, after in pairwise(before):
            after.add_(last)
        return known.to(dtype), response, before

    def table_bytes(self, pixels: int, size: int) -> tuple[int, int]:
        """See :class:`models.local.pixel_readout.PixelReadout`."""
        count = len(self.drawn)
        shared = size * pixels * count + 3 * 8 * _BLOCKS_AT_ONCE * _BLOCK * count
        return shared, 8 * (pixels // _BLOCK + 2 + _BLOCKS_AT_ONCE) * count + 8 * 4 * pixels

    def _response(self, low: int, high: int) -> Tensor:
        """What a flux of one in pixels ``low`` to ``high`` - 1 adds to all significances, (n, C + T + K)."""
        modes = len(self.mixing)
        place = torch.arange(low, high, device=self.weight.device)[:, None]
        profiles, response = self.profiles[low:high], self.profiles[low:high, :modes] @ self.mixing
        inside = (place >= self.starts) & (place < self.stops)
        response[:, : self.cells] += inside * (self.weight[low:high, None] * self.scale)
        response[:, self.cells : self.searched] += profiles[:, modes:] * self.template_scale
        return response

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
        readout = self._readout
        per_feature = readout.latents + 2 * _BLOCK
        straight = readout.latents * readout.drawn.shape[1]
        sums = readout.searched * len(readout.searches.sizes)
        products = per_feature * len(readout.drawn) + straight + sums
        return self._density.multiply_adds + self._hidden.multiply_adds + products

    def terms(self, outputs: Tensor, features: Tensor, dtype: torch.dtype) -> Terms:
        readout = self._readout
        latents, searches = outputs[..., : readout.latents], readout.searches
        significance = readout.significance(latents, features)[:, 0]
        searched, unit = significance[..., : readout.searched], readout.unit
        counted = searches.counted(searched)
        log_terms = searches.log_terms(searched)
        signed = searches.signed(searched)[readout.cells :]
        of_templates, template_unit = counted[..., readout.cells :], unit[readout.cells : readout.searched]
        below = (searched[..., readout.cells :] - of_templates) * template_unit
        least = torch.where(signed, -of_templates * template_unit, -torch.inf)
        twice = 2 * unit * torch.cat((counted, significance[..., readout.searched :]), dim=-1)
        root = BEND * unit[: readout.searched] * torch.sqrt(1 + (counted / BEND).square())
        sums = searches.log_sums(log_terms)
        log_share = log_terms - searches.of_features(sums)
        share = log_share.exp()[..., None] * searches.membership(searched)
        # The hidden layer is straight between kinks, where differences are exact however small.
        steps = _STEP * torch.eye(readout.latents, dtype=latents.dtype, device=latents.device)
        slope = self._hidden.change(steps[None], self._hidden.terms(latents, latents.dtype)) / _STEP
        matrix = -readout.drawn.T * unit
        return (
            twice.to(dtype),
            below.to(dtype),
            least.to(dtype),
            root.to(dtype),
            root.square().to(dtype),
            share.to(dtype),
            log_share.to(dtype),
            (searches.log_rest - sums).to(dtype),
            (slope @ matrix).to(dtype),
            matrix.to(dtype),
            slope.to(dtype),
            self._density.terms(latents, dtype),
            self._hidden.terms(latents, dtype),
            self._joint.terms(readout.raw_parts(outputs, significance[:, None]), dtype),
        )

    def change(self, outputs: Tensor, windows: Windows, terms: Terms) -> Tensor:
        *of_searches, slope, of_density, of_hidden, of_joint = terms
        latents = outputs[..., : self._readout.latents]
        hidden = self._hidden.change(latents, of_hidden)
        bend = hidden - latents @ slope
        least = _ROUNDINGS * torch.finfo(bend.dtype).eps * (latents.abs() @ slope.abs()).amax(dim=-1)
        bent = bend.abs().amax(dim=-1) > least
        raw = outputs.new_empty(*outputs.shape[:-1], 2 + len(self._readout.searches.sizes))
        raw[..., 0] = self._density.change(latents, of_density)[..., 0].neg_()
        # So few that all of their cells stay in a cache.
        step = max(min(_ROWS_AT_ONCE // len(outputs), _WINDOWS_AT_ONCE), 1)
        for low in range(0, outputs.shape[1], step):
            part = slice(low, low + step)
            bends = bent[:, part].T.nonzero(), bend[:, part]
            raw[:, part, 1:] = self._searched(latents[:, part], bends, windows.part(part), *of_searches)
        return -self._joint.change(raw, of_joint)[..., 0]

    def _searched(
        self,
        latents: Tensor,
        bends: tuple[Tensor, Tensor],
        windows: Windows,
        twice: Tensor,
        below: Tensor,
        least: Tensor,
        root: Tensor,
        root_squared: Tensor,
        share: Tensor,
        log_share: Tensor,
        log_rest: Tensor,
        per_latent: Tensor,
        matrix: Tensor,
    ) -> Tensor:
        """Changes of excitation and of every log ratio, (M, k, 1 + G), for those of latents (M, k, S).

        ``bends`` are rows (window, baseline) in which the hidden layer is not straight, and what (M, k, H) it
        is more.

        Significances t are in units in which the evidence of a change d is d (2 t + d) / (R + R'), with the
        root R of a constant plus t^2 and R' that of R^2 + d (2 t + d). Only where d makes the evidence much
        less does R' lose digits, and there the exponential of the evidence does without them.
        """
        readout = self._readout
        searched = readout.searched
        moved = latents.new_empty(latents.shape[1], len(latents), matrix.shape[-1])
        torch.bmm(latents, per_latent, out=moved.transpose(0, 1))
        (window, baseline), more = bends[0].T, bends[1]
        if len(window):
            moved[window, baseline] += more[baseline, window] @ matrix
        _add_flux(moved, windows)
        # max(s + d, 0) - max(s, 0) of templates that count above zero alone; nothing else is cut.
        templates = moved[..., readout.cells : searched]
        torch.maximum(templates.add_(below), least, out=templates)
        # t'^2 - t^2 = d (2 t + d), for d = t' - t.
        moved.mul_(moved + twice)
        misfit = 0.5 * moved[..., searched:].sum(dim=-1)
        change = moved[..., :searched]
        # Rounding may leave less than nothing of a very large root.
        change = change / (change + root_squared).clamp_(min=0).sqrt_().add_(root)
        found = _log_sum_changes(change.transpose(0, 1), share, log_share, log_rest, readout.searches)
        return torch.cat((misfit.T[..., None], found), dim=-1)


def _add_flux(moved: Tensor, windows: Windows) -> None:
    """Add to changes of significances (k, M, F) what the flux of the windows adds."""
    flux, response, before = windows.tables
    start, stop = windows.start, windows.stop
    widest = int((stop - start).max())
    if widest > 2 * _BLOCK:
        # Whole blocks, and the pixels before and after them.
        first = -(-start // _BLOCK)
        last = torch.maximum(stop // _BLOCK, first)
        moved.add_(before.index_select(0, last).sub_(before.index_select(0, first)))
        place = torch.arange(_BLOCK - 1, device=start.device)
        left, right = start[:, None] + place, (last * _BLOCK)[:, None] + place
        inside = torch.cat(
            (left < torch.minimum(first * _BLOCK, stop)[:, None], right < stop[:, None]), dim=1
        )
        pixel = torch.cat((left, right), dim=1)
    else:
        pixel = start[:, None] + torch.arange(widest, device=start.device)
        inside = pixel < stop[:, None]
    pixel.clamp_(max=flux.shape[1] - 1)
    of_pixels = response.index_select(0, pixel.flatten()).view(*pixel.shape, moved.shape[-1])
    moved.baddbmm_((flux[:, pixel] * inside).transpose(0, 1), of_pixels)


def _log_sum_changes(
    change: Tensor, share: Tensor, log_share: Tensor, log_rest: Tensor, searches: Searches
) -> Tensor:
    """Changes of the log ratio of every search, (M, n, G), for those of evidence (M, n, F).

    ``share`` (M, F, G) is that of a feature in its search, and 0 in all others; ``log_share`` (M, F) and the
    log of the rest's ``log_rest`` (M, G). Shares and rest sum to one, so it is the log of one plus the sum of
    share * (exp(change) - 1), which keeps small changes; unless nearly all of it is lost, or a change is so
    large that the exponential overflows, or that a share too small for float32 matters.
    """
    grown = torch.expm1(change)
    result = torch.bmm(grown, share)
    beyond = (result < _MOST_LOST).any(dim=-1) | (change.amax(dim=-1) > _LARGEST)
    torch.log1p(result, out=result)
    if beyond.any():
        number = beyond.nonzero()[:, 0]
        # A feature has a share in one search.
        grown = grown[beyond].clamp_(max=math.exp(_LARGEST)).mul_(share.sum(dim=-1)[number])
        rows = change[beyond], grown, log_share[number], log_rest[number]
        result[beyond] = _large_log_sum_changes(*rows, searches)
    return result.div_(result.new_tensor(searches.sharpness))


def _large_log_sum_changes(
    change: Tensor, grown: Tensor, log_share: Tensor, log_rest: Tensor, searches: Searches
) -> Tensor:
    """As :func:`_log_sum_changes`, before sharpness, for rows (R, F) in which a change is large.

    ``grown`` (R, F) is share * (exp(change) - 1) where the change is not.
    """
    log_terms, sizes, membership = change + log_share, list(searches.sizes), searches.membership(change)
    largest, top = (
        torch.stack([part.amax(dim=-1) for part in torch.split(each, sizes, dim=-1)], dim=-1)
        for each in (change, log_terms)
    )
    # Of a search without any share no minus infinity is subtracted from itself.
    top.clamp_(min=torch.finfo(top.dtype).min)
    left = (log_terms.sub_(searches.of_features(top)).exp_() @ membership).log_().add_(top)
    sums = grown @ membership
    beyond = (largest > _LARGEST) | (sums < _MOST_LOST)
    return torch.where(beyond, torch.logaddexp(left, log_rest), torch.log1p(sums))
