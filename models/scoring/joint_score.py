"""The joint score: density of the latents, residual factors, and every search.

Calibration turns each part into minus the log of its tail probability among usual spectra of the same depth
and redshift, and, for searches, of the same misfit along the residual factors. The score is the log of the
weighted mean of the inverse tails: minus the log of the harmonic mean p-value (Wilson 2019, PNAS 116, 1195).
It is near the largest part, smooth, and never far below zero.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.calibration.calibration import Calibration
from models.calibration.smooth_tail import SmoothTail, minus_log_tails
from models.causes.names import TEMPLATE_CAUSES
from models.scoring.misfit_widening import MisfitWidening
from models.scoring.naming import Naming, PartEvidence

LATENTS = ("density", "misfit")
"""Names of the first two parts; those of the scan's widths and of the causes follow."""
MISFIT = LATENTS.index("misfit")
LATENT_SHARES = (0.02, 0.02)
SCAN_SHARE = 0.20
"""Of all widths; a width has more than the narrower one before it."""
CAUSE_SHARES = {
    "single_pixels": 0.12,
    "noisy_interval": 0.03,
    "dead_interval": 0.06,
    "sky_residuals": 0.12,
    "telluric": 0.02,
    "arm_step": 0.05,
    "calibration_wave": 0.01,
    "second_redshift": 0.08,
    "quasar_lines": 0.015,
    "broad_lines": 0.11,
    "split_lines": 0.05,
    "unusual_lines": 0.02,
    "missing_lines": 0.015,
    "trough": 0.06,
}
"""Weights in the mean. docs/decisions/37 and 54 say how they were found."""


def shares(widths: int) -> tuple[float, ...]:
    """Weights of the parts of a score whose scan has so many widths; their sum is one."""
    steps = widths * (widths + 1) / 2
    of_scan = tuple(SCAN_SHARE * (number + 1) / steps for number in range(widths))
    return (*LATENT_SHARES, *of_scan, *(CAUSE_SHARES[name] for name in TEMPLATE_CAUSES))


class JointScore(nn.Module):
    """From the parts' raw values to the score.

    Parameters
    ----------
    widths : number of the residual scan's.
    """

    log_shares: Tensor

    def __init__(self, widths: int) -> None:
        super().__init__()
        log_shares = torch.tensor(shares(widths), dtype=torch.float64).log()
        self.register_buffer("log_shares", log_shares, persistent=False)
        self.naming = Naming()
        self.parts = nn.ModuleList([Calibration() for _ in log_shares])
        self.widening = MisfitWidening(len(log_shares))

    def fit(self, raw: Tensor, depth: Tensor, redshift: Tensor) -> None:
        """Learn every part's tail from usual spectra, raw (n, P), depth and redshift (n,).

        Spectra of which a value is not finite are left out.
        """
        given = [value.double().numpy() for value in (depth, redshift)]
        found = [Calibration.stratified(part, *given) for part in raw.double().numpy().T]
        standard = np.stack([each for _, each in found], axis=1)
        standard = standard[np.isfinite(standard).all(axis=1)]
        misfit = standard[:, MISFIT]
        self.widening.fit(standard, misfit, len(LATENTS))
        alike = self.widening(torch.from_numpy(standard), torch.from_numpy(misfit)).numpy()
        for number, (calibration, _) in enumerate(found):
            calibration.tail_of_all = SmoothTail.fit(alike[:, number])
            self.parts[number] = calibration

    def strata(self, depth: Tensor, redshift: Tensor) -> tuple[Tensor, Tensor]:
        """Median and width of every part among usual spectra, (...) to (..., P) float64 each."""
        found = [part.stratum(depth, redshift) for part in self.parts if isinstance(part, Calibration)]
        medians, widths = (torch.stack(each, dim=-1) for each in zip(*found, strict=True))
        return medians, widths

    def evidence(self, raw: Tensor, depth: Tensor, redshift: Tensor) -> PartEvidence:
        """What the parts (..., P) say for each cause, see :class:`models.scoring.naming.Naming`."""
        standard = self._standard(raw, depth, redshift)
        terms = self._log_terms(standard, standard[..., MISFIT])
        # Density and misfit are no likelihood ratios.
        ratio = raw.to(standard.dtype).clone()
        ratio[..., : len(LATENTS)] = -torch.inf
        return PartEvidence(terms, ratio)

    def cause_probabilities(self, raw: Tensor, depth: Tensor, redshift: Tensor) -> Tensor:
        """How probable each cause is, (..., P) to (..., causes) float64; the rest of 1 is unknown."""
        probabilities: Tensor = self.naming(self.evidence(raw, depth, redshift))
        return probabilities

    def of_standard(self, standard: Tensor, misfit: Tensor) -> Tensor:
        """Score, (...) float64, of parts less their median, over their width, (..., P) float64.

        They are compared with usual spectra of a misfit (...), in the same units.
        """
        return torch.logsumexp(self._log_terms(standard, misfit), dim=-1)

    def _log_terms(self, standard: Tensor, misfit: Tensor) -> Tensor:
        tails = [part.tail_of_all for part in self.parts if isinstance(part, Calibration)]
        alike = self.widening(standard, misfit)
        return minus_log_tails(tails, alike) + self.log_shares

    def forward(self, raw: Tensor, depth: Tensor, redshift: Tensor) -> Tensor:
        """Score, (...) float64, of raw (..., P); depth and redshift broadcast against (...)."""
        standard = self._standard(raw, depth, redshift)
        return self.of_standard(standard, standard[..., MISFIT])

    def _standard(self, raw: Tensor, depth: Tensor, redshift: Tensor) -> Tensor:
        medians, widths = self.strata(depth, redshift)
        return (raw.to(medians.dtype) - medians) / widths
