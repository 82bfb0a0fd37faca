"""The loss of a variational autoencoder: InfoVAE (Zhao et al. 2017) with a Gaussian kernel.

Per spectrum: reconstruction + (1 - alpha) KL + (alpha + lambda - 1) MMD with alpha = 0, as in the published
models. KL draws every posterior to the standard normal prior, MMD the posteriors of all spectra together.

In the ``ivar`` form the reconstruction term is half of chi2 on the observed pixels, KL a sum over latents:
minus the evidence lower bound in nat, with the survey's noise. In the ``published`` form
(github.com/ed-ortizm/autoencoders) it is the sum of squares on the rest-frame pixels, filled gaps included,
and KL a mean over latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.variational.model import VariationalModel

_LEAST_FLUX = 0.3
"""Of the normalised flux whose relative model error is added to the noise: none where flux crosses 0."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Spectra as they are and as the encoder sees them.

    Attributes
    ----------
    flux, ivar : (B, N), of the normalised flux; ``ivar`` 0 where masked.
    redshift : (B,).
    shown : (B, N) ivar that the encoder takes: 0 also where a gap was made.
    """

    flux: Tensor
    ivar: Tensor
    redshift: Tensor
    shown: Tensor


@dataclass(frozen=True, slots=True)
class LossWeights:
    """``mmd`` : lambda, at least 1; ``model_error`` : relative error of flux added to the noise."""

    mmd: float
    model_error: float


def loss(model: VariationalModel, batch: Batch, weights: LossWeights, noise: Tensor, prior: Tensor) -> Tensor:
    """Mean over spectra, per pixel that is compared.

    Parameters
    ----------
    noise : (B, S) standard normal, by which latents are drawn from the posterior; 0 for its mean.
    prior : (P, S) standard normal, with which latents are compared.
    """
    published = model.architecture.form == "published"
    rest = model.taps(batch.shown, batch.redshift).apply(torch.where(batch.shown > 0, batch.flux, 0))
    mean, log_variance = model.encode_rest(rest)
    latents = mean + noise * torch.exp(0.5 * log_variance)
    divergence = 0.5 * (mean.square() + torch.exp(log_variance) - 1 - log_variance)
    discrepancy = (weights.mmd - 1) * mean_discrepancy(prior, latents)
    decoded = model.decode_rest(latents)
    if published:
        total = (decoded - rest).square().sum(dim=1) + divergence.mean(dim=1) + discrepancy
        return total.mean() / rest.shape[1]
    observed = model.frame.to_observed(decoded, batch.redshift)
    good = batch.ivar > 0
    flux = torch.where(good, batch.flux, 0)
    model_error = weights.model_error * flux.abs().clamp_min(_LEAST_FLUX)
    weight = batch.ivar / (1 + batch.ivar * model_error.square())
    chi2 = (weight * (flux - observed).square()).sum(dim=1)
    return ((0.5 * chi2 + divergence.sum(dim=1) + discrepancy) / good.sum(dim=1).clamp_min(1)).mean()


def mean_discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """Square of the maximum mean discrepancy of samples (n, S) and (m, S), biased; kernel as published."""
    within = _kernel(first, first).mean() + _kernel(second, second).mean()
    return within - 2 * _kernel(first, second).mean()


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    """exp(-mean over latents of the squared difference / number of latents), (n, m)."""
    square = (first[:, None] - second[None]).square().mean(dim=2)
    return torch.exp(-square / first.shape[1])
