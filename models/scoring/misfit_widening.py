"""Misfit widening: spectra that are badly drawn along their usual modes have longer tails in every search."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.calibration.quantile_surface import hats, increasing

QUANTILES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.995)
"""Of the misfit of usual spectra: the nodes between which a widening is linear; constant outside."""
_PRIOR = 10.0
"""Spectra whose excess is the mean of all, added at every node."""
_BEND = 0.25
"""Of standard units, over which a stretch sets in; it begins at 1, which a tenth of usual spectra exceed."""


class MisfitWidening(nn.Module):
    """How far each of P parts reaches among usual spectra, given the misfit along the residual factors.

    The few usual spectra that a decoder cannot draw are odd in many searches at once, and would set the tail
    for all others. Most oddities do not lie along the factors, so they do not hide behind their own misfit.

    A standard value u (see :meth:`models.calibration.calibration.Calibration.stratum`) above 1 becomes
    1 + (u - 1) / w, smoothly, with w the mean excess over 1 at this misfit, over that of all.
    """

    nodes: Tensor
    log_widening: Tensor

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.register_buffer("nodes", torch.arange(len(QUANTILES), dtype=torch.float64))
        self.register_buffer("log_widening", torch.zeros(parts, len(QUANTILES), dtype=torch.float64))

    def fit(self, standard: NDArray[np.float64], misfit: NDArray[np.float64], first: int) -> None:
        """Learn from usual spectra: standard values (n, P), misfit (n,). Parts before ``first`` stay."""
        self.nodes.copy_(torch.from_numpy(increasing(np.quantile(misfit, QUANTILES))))
        near = hats(torch.from_numpy(misfit), self.nodes).numpy()
        for part in range(first, standard.shape[1]):
            beyond = standard[:, part] > 1.0
            excess, share = standard[beyond, part] - 1.0, near[beyond]
            if not len(excess):
                continue
            usual = float(excess.mean())
            of_node = (share.T @ excess + _PRIOR * usual) / (share.sum(axis=0) + _PRIOR)
            # A larger misfit never makes a tail shorter.
            widening = np.maximum.accumulate(of_node) / usual
            self.log_widening[part] = torch.from_numpy(np.log(widening))

    def forward(self, standard: Tensor, misfit: Tensor) -> Tensor:
        """Standard values (..., P) float64 at misfits (...), as among spectra of the mean widening."""
        shorter = 1.0 - torch.exp(-(hats(misfit, self.nodes) @ self.log_widening.T))
        stretched: Tensor = standard - shorter * _BEND * nn.functional.softplus((standard - 1.0) / _BEND)
        return stretched
