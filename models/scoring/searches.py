"""Searches: how likely something at one of many places made what is seen, place by place and joined.

A search has features of unit variance: the cells of one width of the residual scan, or the templates of one
cause. Its log ratio is the log of the mean likelihood ratio over them, or, with a sharpness s above 1, the
log of the mean of its power s, divided by s: then the strongest feature counts alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.scoring.residual_scan import evidence


@dataclass(frozen=True, eq=False)
class Searches:
    """G searches of one spectrum, over F features side by side.

    Attributes
    ----------
    sizes : number of features of each, in order; their sum is F.
    log_prior : (F,), or (B, F) of B spectra with searches of the same sizes: natural log of the share of a
        feature in its search; minus infinity where it cannot be seen.
    log_rest : (G,), what features that are not followed add to the mean, natural log; -inf for none.
    sharpness : of each.
    signs : of each; 1 where only a positive significance counts, 0 where either does.
    """

    sizes: tuple[int, ...]
    log_prior: Tensor
    log_rest: Tensor
    sharpness: tuple[float, ...]
    signs: tuple[int, ...]

    def log_terms(self, significance: Tensor) -> Tensor:
        """Log of what every feature adds to its search's mean, (..., F) to (..., F)."""
        return self.log_prior + self.powers(significance) * evidence(self.counted(significance))

    def counted(self, significance: Tensor) -> Tensor:
        """What counts of significances (..., F): of a search with a sign nothing below zero."""
        return torch.where(self.signed(significance), significance.clamp_min(0), significance)

    def signed(self, like: Tensor) -> Tensor:
        """Whether a feature's search has a sign, (F,) bool, on the device of ``like``."""
        return self.of_features(torch.tensor(self.signs, device=like.device) > 0)

    def powers(self, like: Tensor) -> Tensor:
        """The sharpness of every feature's search, (F,), of the type of ``like``."""
        return self.of_features(like.new_tensor(self.sharpness))

    def of_features(self, values: Tensor) -> Tensor:
        """The value of every feature's search, (..., G) to (..., F)."""
        return values.index_select(-1, self._number(values))

    def membership(self, like: Tensor) -> Tensor:
        """1 where a feature belongs to a search, else 0, (F, G), of the type of ``like``."""
        return torch.nn.functional.one_hot(self._number(like), len(self.sizes)).to(like.dtype)

    def _number(self, like: Tensor) -> Tensor:
        return torch.repeat_interleave(torch.tensor(self.sizes, device=like.device))

    def log_sums(self, log_terms: Tensor) -> Tensor:
        """Log of every search's mean, (..., F) to (..., G)."""
        parts = torch.split(log_terms, list(self.sizes), dim=-1)
        found = torch.stack([torch.logsumexp(part, dim=-1) for part in parts], dim=-1)
        return torch.logaddexp(found, self.log_rest.to(found.dtype).expand_as(found))

    def log_ratios(self, significance: Tensor) -> Tensor:
        """Log ratios, of significances (..., F), (..., G)."""
        sums = self.log_sums(self.log_terms(significance))
        return sums / sums.new_tensor(self.sharpness)


def log_share(usable: Tensor) -> Tensor:
    """Log prior of features (..., F): equal shares of those that are usable, of all where none is."""
    counted = usable | ~usable.any(dim=-1, keepdim=True)
    share = -counted.sum(dim=-1, keepdim=True).double().log()
    return torch.where(counted, share, -math.inf)
