"""Quantiles of the scores as smooth functions of signal-to-noise and redshift."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

NODES = (0.01, 0.25, 0.5, 0.75, 0.99)
"""Quantiles of ln S/N and of the redshift between which a surface is linear; constant outside."""
LEAST_SIGNAL_TO_NOISE = 0.01
_STIFFNESS = 10.0
"""Weight of the penalty on second differences of nodes, in spectra."""
_ROUNDS = 60


class QuantileSurface(nn.Module):
    """A quantile as f(ln S/N) + g(z), both piecewise linear; zero until fitted or loaded.

    Additive, since a calibration set of a thousand or two fixes nine numbers well and twenty-five badly.
    """

    signal_to_noise_nodes: Tensor
    redshift_nodes: Tensor
    coefficients: Tensor
    centre: Tensor
    covariance: Tensor

    def __init__(self) -> None:
        super().__init__()
        count = len(NODES)
        nodes = torch.arange(count, dtype=torch.float64)
        size = 2 * count - 1
        self.register_buffer("signal_to_noise_nodes", nodes.clone())
        self.register_buffer("redshift_nodes", nodes)
        self.register_buffer("coefficients", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("centre", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("covariance", torch.zeros(size, size, dtype=torch.float64))

    @classmethod
    def fit(
        cls,
        values: NDArray[np.float64],
        signal_to_noise: NDArray[np.float64],
        redshift: NDArray[np.float64],
        level: float,
    ) -> QuantileSurface:
        """The surface below which a share ``level`` of ``values`` lies, everywhere; all (n,)."""
        surface = cls()
        covariates = _log(torch.from_numpy(signal_to_noise)).numpy(), redshift
        surface.signal_to_noise_nodes.copy_(torch.from_numpy(_nodes(covariates[0])))
        surface.redshift_nodes.copy_(torch.from_numpy(_nodes(covariates[1])))
        basis = surface._basis(torch.from_numpy(signal_to_noise), torch.from_numpy(redshift)).numpy()
        scale = max(float(np.median(np.abs(values - np.quantile(values, level)))), 1e-30)
        penalty = _penalty()
        coefficients, residual = _quantile_fit(basis, values, level, penalty, scale)
        surface.coefficients.copy_(torch.from_numpy(coefficients))
        surface.centre.copy_(torch.from_numpy(basis.mean(axis=0)))
        # Koenker & Bassett (1978): the variance of a quantile over the density of values at it.
        step = min(0.1, level / 2, (1 - level) / 2)
        above, below = np.quantile(residual, [level + step, level - step])
        sparsity = (above - below) / (2 * step)
        inverse = np.linalg.inv(basis.T @ basis + penalty)
        surface.covariance.copy_(torch.from_numpy(level * (1 - level) * sparsity**2 * inverse))
        return surface

    def forward(self, signal_to_noise: Tensor, redshift: Tensor) -> Tensor:
        """The quantile at S/N and redshift of any one shape; float64."""
        value: Tensor = self._basis(signal_to_noise, redshift) @ self.coefficients
        return value

    def deviation(self, signal_to_noise: Tensor, redshift: Tensor) -> Tensor:
        """One standard deviation of the surface there relative to its mean."""
        basis = self._basis(signal_to_noise, redshift) - self.centre
        if not self.covariance.any():
            return torch.zeros(basis.shape[:-1], dtype=basis.dtype, device=basis.device)
        return torch.sqrt(((basis @ self.covariance) * basis).sum(dim=-1).clamp_min(0))

    def _basis(self, signal_to_noise: Tensor, redshift: Tensor) -> Tensor:
        """(…, 9): weights of the S/N nodes, then of the redshift nodes but the first."""
        of_noise = hats(_log(signal_to_noise), self.signal_to_noise_nodes)
        of_redshift = hats(redshift.to(self.redshift_nodes.dtype), self.redshift_nodes)
        return torch.cat([of_noise, of_redshift[..., 1:]], dim=-1)


def _log(signal_to_noise: Tensor) -> Tensor:
    return torch.log(signal_to_noise.to(torch.float64).clamp_min(LEAST_SIGNAL_TO_NOISE))


def _nodes(covariate: NDArray[np.float64]) -> NDArray[np.float64]:
    return increasing(np.quantile(covariate, NODES))


def increasing(nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nodes, a little apart where several are equal."""
    apart = 1e-3 * max(float(nodes[-1] - nodes[0]), 1e-6) * np.arange(len(nodes))
    found: NDArray[np.float64] = np.maximum.accumulate(nodes - apart) + apart
    return found


def hats(values: Tensor, nodes: Tensor) -> Tensor:
    """Weights of linear interpolation between nodes, (…,) to (…, nodes); they sum to one."""
    values = values.clamp(nodes[0], nodes[-1])[..., None]
    rising = (values - nodes[:-1]) / (nodes[1:] - nodes[:-1])
    rising = rising.clamp(0, 1)
    one = torch.ones_like(values)
    return torch.cat([one, rising], dim=-1) - torch.cat([rising, torch.zeros_like(values)], dim=-1)


def _penalty() -> NDArray[np.float64]:
    """(9, 9): second differences of the nodes in S/N and in redshift, and hardly the values themselves."""
    count = len(NODES)
    bend = np.diff(np.eye(count), n=2, axis=0)
    penalty = np.zeros((2 * count - 1, 2 * count - 1))
    penalty[:count, :count] = bend.T @ bend
    penalty[count:, count:] = bend[:, 1:].T @ bend[:, 1:]
    return _STIFFNESS * penalty + 1e-3 * np.eye(len(penalty))


def _quantile_fit(
    basis: NDArray[np.float64],
    values: NDArray[np.float64],
    level: float,
    penalty: NDArray[np.float64],
    scale: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients and residuals of the least pinball loss, by reweighted least squares."""
    middle = float(np.quantile(values, level))
    centred = (values - middle) / scale
    coefficients = np.zeros(basis.shape[1])
    for _ in range(_ROUNDS):
        residual = centred - basis @ coefficients
        weight = np.where(residual > 0, level, 1 - level) / np.maximum(np.abs(residual), 1e-3)
        weighted = basis * weight[:, None]
        # The penalty in the currency of a spectrum one scale away.
        coefficients[:] = np.linalg.solve(weighted.T @ basis + 0.5 * penalty, weighted.T @ centred)
    residual = scale * (centred - basis @ coefficients)
    coefficients *= scale
    coefficients[: len(NODES)] += middle
    return coefficients, residual
