"""Followed features: cells and templates that an explanation keeps an eye on while windows of flux change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.causes.template_bank import TemplateBank
from models.causes.whitened import WhitenedResidual
from models.scoring.residual_scan import evidence
from models.scoring.searches import log_share

CELLS = 256
"""Most cells of one width that are followed."""


@dataclass(frozen=True, eq=False)
class FollowedCells:
    """Cells of every width of the residual scan.

    Attributes
    ----------
    chosen : (C,), their places among all; sizes : number of every width's.
    log_rest : (W,), see :class:`models.scoring.searches.Searches`.
    """

    chosen: Tensor
    sizes: tuple[int, ...]
    log_rest: Tensor


def follow_cells(significance: Tensor, log_prior: Tensor, sizes: Sequence[int]) -> FollowedCells:
    """The most significant cells of every width, of (C,); the others stay what they are."""
    chosen, rests, first = [], [], 0
    log_terms = log_prior + evidence(significance)
    for size in sizes:
        own = strongest(significance[first : first + size].abs(), CELLS)
        rests.append(log_rest(log_terms[first : first + size], own))
        chosen.append(first + own)
        first += size
    return FollowedCells(torch.cat(chosen), tuple(len(own) for own in chosen), torch.stack(rests))


@dataclass(frozen=True, eq=False)
class Followed:
    """T templates of G causes, side by side.

    Attributes
    ----------
    sizes : number of each cause's.
    profiles : (N, T), weight * template.
    of_modes : (T, K), significance per unit of U' W r.
    norm : (T,), see :class:`models.causes.whitened.Matched`.
    log_prior : (T,), log_rest : (G,), see :class:`models.scoring.searches.Searches`.
    """

    sizes: tuple[int, ...]
    profiles: Tensor
    of_modes: Tensor
    norm: Tensor
    log_prior: Tensor
    log_rest: Tensor


def strongest(size: Tensor, count: int) -> Tensor:
    """Places of the ``count`` largest of (F,), ascending; of all that are fewer."""
    return size.topk(min(count, len(size))).indices.sort().values


def log_rest(log_terms: Tensor, followed: Tensor) -> Tensor:
    """Log of what features (F,) add to their search's mean that are not ``followed``, (); -inf for none."""
    others = log_terms.clone()
    others[followed] = -torch.inf
    return torch.logsumexp(others, dim=0)


def follow(banks: Sequence[TemplateBank], spectrum: WhitenedResidual) -> Followed:
    """The most significant templates of every bank; the others stay what they are in ``spectrum``."""
    sizes, rows, norms, priors, rests = [], [], [], [], []
    for bank in banks:
        found = bank.search(spectrum)
        significance = found.significance.clamp_min(0) if bank.sign else found.significance
        # Without one that is usable a search would have no slope.
        chosen = strongest(significance.abs().where(found.usable, -1.0), bank.kept)
        log_prior = log_share(found.usable).to(found.norm.dtype)
        sizes.append(len(chosen))
        # A template that is not usable has no influence.
        rows.append(bank.rows(chosen, spectrum) * found.usable[chosen, None])
        norms.append(found.norm[chosen])
        priors.append(log_prior[chosen])
        rests.append(log_rest(log_prior + bank.sharpness * evidence(significance), chosen))
    profiles = torch.cat(rows).T * spectrum.weight[:, None]
    norm = torch.cat(norms)
    of_modes = -(torch.cat(rows) @ spectrum.weighted_modes) / norm[:, None]
    return Followed(tuple(sizes), profiles, of_modes, norm, torch.cat(priors), torch.stack(rests))
