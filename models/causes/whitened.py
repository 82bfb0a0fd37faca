"""A whitened residual: what a matched filter needs of one spectrum."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class WhitenedResidual:
    """The residual r of one spectrum, times the inverse of its covariance C = W^-1 + U U'.

    Attributes
    ----------
    filtered : (N,), C^-1 r.
    weight : (N,), the diagonal of W: inverse variance; 0 where masked.
    weighted_modes : (N, K), W U.
    gain : (K, K), (1 + U' W U)^-1: C^-1 = W - W U gain U' W (Woodbury).
    reconstruction : (N,), of the model.
    redshift : (), float64.
    """

    filtered: Tensor
    weight: Tensor
    weighted_modes: Tensor
    gain: Tensor
    reconstruction: Tensor
    redshift: Tensor


@dataclass(frozen=True, eq=False)
class Matched:
    """T matched filters, Neyman & Pearson's (1933) test for a template t of unknown strength.

    Attributes
    ----------
    significance : (T,), t' C^-1 r / sqrt(t' C^-1 t), in sigma; 0 where not usable.
    norm : (T,), sqrt(t' C^-1 t); 1 where not usable.
    usable : (T,) bool, whether the spectrum could show the template.
    """

    significance: Tensor
    norm: Tensor
    usable: Tensor


LEAST_LEFT = 1e-3
"""Share of a template's information that must be left beside the modes; below it rounding is left."""


def matched(along: Tensor, full: Tensor, along_modes: Tensor, spectrum: WhitenedResidual) -> Matched:
    """Of templates t: ``along`` t' C^-1 r (T,), ``full`` t' W t (T,), ``along_modes`` t' W U (T, K).

    No modes (T, 0) take nothing.
    """
    kept = along_modes.shape[1]
    left = full - ((along_modes @ spectrum.gain[:kept, :kept]) * along_modes).sum(dim=1)
    usable = (left > LEAST_LEFT * full) & (full > 0)
    norm = left.where(usable, left.new_ones(())).sqrt()
    return Matched((along / norm).where(usable, along.new_zeros(())), norm, usable)
