"""Design: which coalitions are asked, and the fit of weights to their scores.

A design depends on the number of segments alone. Weights are linear in the scores, so the matrix that gives
them is made once and serves every spectrum with as many segments, any number of them in one product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.attribution.memory import WHERE
from engine.attribution.segments.settings import design_numbers
from models.errors import ConfigurationError, ErrorKind


@dataclass(frozen=True, eq=False)
class Design:
    """n coalitions of K segments, and what makes K weights of their scores.

    Attributes
    ----------
    switches : (n, K) float64, 0 and 1.
    importance : (n,) of each coalition in the fit.
    solution : (K, n), scores to weights.
    whole : (K,), what each weight has of the score of all segments less that of none; 0 in a fit without that
        constraint.
    group : coalitions that follow each other and were drawn together: 1, or 2 of pairs.
    degrees : number of groups less that of fitted numbers, at least 1; infinite of a design of all
        coalitions, whose weights have no error.
    """

    switches: Tensor
    importance: Tensor
    solution: Tensor
    whole: Tensor
    group: int
    degrees: float


@dataclass(frozen=True, eq=False)
class Fit:
    """A linear surrogate of B spectra.

    Attributes
    ----------
    weights, errors : (B, K), with standard errors.
    intercept : (B,).
    r_squared : (B,), share of the scores' variance that the surrogate explains; NaN where they have none.
    """

    weights: Tensor
    errors: Tensor
    intercept: Tensor
    r_squared: Tensor


def pairs(drawn: Tensor) -> Tensor:
    """Each coalition (m, K) followed by its complement, (2 m, K): what acts in pairs of segments cancels."""
    return torch.stack([drawn, 1.0 - drawn], dim=1).flatten(0, 1)


def ridge_design(switches: Tensor, importance: Tensor, ridge: float, group: int) -> Design:
    """A weighted ridge regression with an intercept, which is not shrunk: that of scikit-learn's Ridge.

    Parameters
    ----------
    switches : (n, K); importance : (n,).
    ridge : added to the diagonal.
    group : see :class:`Design`.
    """
    share = importance / importance.sum()
    centred = switches - share @ switches
    weighted = centred.T * importance
    normal = weighted @ centred + ridge * torch.eye(switches.shape[1], dtype=switches.dtype)
    degrees = max(len(switches) // group - switches.shape[1] - 1, 1)
    none = switches.new_zeros(switches.shape[1])
    return Design(switches, importance, _inverse(normal) @ weighted, none, group, degrees)


def shapley_design(switches: Tensor, importance: Tensor, group: int, *, drawn: bool) -> Design:
    """A weighted regression through the scores of no and of all segments: that of KernelSHAP.

    With L = diag(importance), A = Z' L Z and v the whole difference, the weights are A^-1 (Z' L y - l 1),
    where l makes their sum v (Covert & Lee 2021, arXiv 2012.01536, eq. 7).

    Parameters
    ----------
    switches : (n, K); importance : (n,).
    group : see :class:`Design`.
    drawn : whether they are a sample, or all that there are.
    """
    weighted = switches.T * importance
    inverse = _inverse(weighted @ switches)
    of_one = inverse.sum(dim=1)
    # A single segment has no coalition but none and all.
    whole = of_one / of_one.sum() if len(switches) else of_one + 1.0
    solution = (inverse - whole[:, None] * of_one) @ weighted
    degrees = max(len(switches) // group - switches.shape[1] + 1, 1) if drawn else math.inf
    return Design(switches, importance, solution, whole, group, degrees)


def check_memory(memory_bytes: int, segments: int, samples: int) -> None:
    """Refuse a design that is too large, before it is made.

    Raises
    ------
    ConfigurationError : the memory does not hold it.
    """
    needed = 8 * design_numbers(segments, samples)
    if needed > memory_bytes:
        raise ConfigurationError(
            "The memory allowed does not hold the coalitions of an attribution.",
            where=WHERE,
            got=f"{memory_bytes} bytes",
            allowed=f"at least {needed} bytes for {samples} coalitions of {segments} segments",
            remedy="Raise it, or take wider segments.",
            kind=ErrorKind.SEGMENTS,
        )


def fit(design: Design, scores: Tensor, nothing: Tensor, everything: Tensor) -> Fit:
    """The surrogates of B spectra that share a design.

    Standard errors are the sandwich of White 1980 over groups, with n / degrees: they hold whatever the
    misfit depends on. They measure what the draw of coalitions leaves open.

    Parameters
    ----------
    scores : (B, n), of the design's coalitions.
    nothing, everything : (B,), with no segment on and with all; a fit without constraint uses neither.
    """
    solution = design.solution
    constrained = bool(design.whole.any())
    held = nothing if constrained else torch.zeros_like(nothing)
    weights = (scores - held[:, None]) @ solution.T + (everything - held)[:, None] * design.whole
    share = design.importance / design.importance.sum()
    linear = weights @ design.switches.T
    intercept = held if constrained else (scores - linear) @ share
    misfit = scores - linear - intercept[:, None]
    groups = len(design.switches) // design.group
    each = misfit[:, None, :] * solution
    parts = each.reshape(*each.shape[:2], groups, design.group).sum(dim=3)
    errors = (parts.square().sum(dim=2) * (groups / design.degrees)).sqrt()
    about = scores - (scores @ share)[:, None]
    r_squared = 1.0 - (misfit.square() @ share) / (about.square() @ share)
    return Fit(weights, errors, intercept, r_squared)


def _inverse(normal: Tensor) -> Tensor:
    """Pseudo-inverse: segments that a small design never tells apart share their weight evenly."""
    inverse: Tensor = torch.linalg.pinv(normal, hermitian=True)
    return inverse
