"""Likelihood: the variational model's score as a function of flux alone, in nat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.line_mask import PUBLISHED_LINES, line_pixels
from models.reconstruction_scores import ReconstructedSpectra, ReconstructionScore


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Log likelihood of spectra that share one inverse variance and one redshift, (B, N) to (B,).

    Minus half the sum of squares whose mean, or root, is the score. Resampling is folded into the first and
    the last layer, so a spectrum takes two products with (N, hidden) matrices.

    Attributes
    ----------
    ivar : (N,), 0 at masked pixels; redshift : (1,); wavelength : (N,).
    first : (N, C), flux to the first layer; first_bias : (C,) or (1, C).
    latents : first layer to latents, (B, C) to (B, S); decoder : latents to the last hidden layer, (B, H).
    last : (H, N), last hidden layer to reconstruction; last_bias : (1, N).
    score : what compares.
    total : the sum of squares that a score (B,) is made from, of spectra of one ivar (N,).
    """

    ivar: Tensor
    redshift: Tensor
    wavelength: Tensor
    first: Tensor
    first_bias: Tensor
    latents: Callable[[Tensor], Tensor]
    decoder: Callable[[Tensor], Tensor]
    last: Tensor
    last_bias: Tensor
    score: ReconstructionScore
    total: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, flux: Tensor) -> Tensor:
        """See the class."""
        flux = flux.to(self.ivar.dtype)
        good = self.ivar > 0
        hidden = self._hidden(torch.where(good, flux, 0) @ self.first)
        spectra = ReconstructedSpectra(
            flux,
            self.ivar.expand_as(flux),
            good.expand_as(flux),
            hidden @ self.last + self.last_bias,
            self.redshift.expand(len(flux)),
            self.wavelength,
        )
        return -0.5 * self.total(self.score(spectra), self.ivar)

    def mixture(self, pieces: Tensor) -> Callable[[Tensor], Tensor] | None:
        """The same of spectra that are sums of ``pieces`` (P, N): shares (B, P) to (B,).

        A sum of squares of what is linear in shares and hidden layer is a quadratic form in them. Its matrix
        is made once; no spectrum is. None of scores that are not such a sum: those that leave pixels out by
        their residual, are divided by the flux, or are means over some of the pixels.
        """
        weight = self._weight()
        if weight is None:
            return None
        pieces = torch.where(self.ivar > 0, pieces.to(self.ivar.dtype), 0)
        parts = torch.cat([pieces, -self.last, -self.last_bias]) * weight.sqrt()
        squares = parts @ parts.T
        first = pieces @ self.first

        def log_likelihood(shares: Tensor) -> Tensor:
            shares = shares.to(first.dtype)
            hidden = self._hidden(shares @ first)
            terms = torch.cat([shares, hidden, hidden.new_ones(len(hidden), 1)], dim=1)
            return -0.5 * ((terms @ squares) * terms).sum(dim=1)

        return log_likelihood

    def _hidden(self, first: Tensor) -> Tensor:
        return self.decoder(self.latents(first + self.first_bias))

    def _weight(self) -> Tensor | None:
        """Of each pixel's squared residual, (N,), in a score that is their sum."""
        kind = self.score.kind
        if kind.percent != 100:
            return None
        if kind.form == "ivar":
            return self.ivar if kind.pixels == "all" else None
        if kind.statistic != "mse":
            return None
        weight = (self.ivar > 0).to(self.ivar.dtype)
        if kind.pixels == "all":
            return weight
        return torch.where(line_pixels(self.redshift, self.wavelength, PUBLISHED_LINES)[0], 0, weight)
