"""Calibration of scores: tail probabilities, which mean the same for every model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.calibration.quantile_surface import QuantileSurface
from models.calibration.smooth_tail import SmoothTail

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
STRATIFIED_FROM = 300
"""Fewest calibration spectra from which scores are compared with those of like noise and redshift."""
_FOLDS = 5
_WIDE = 0.8
_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Tail:
    """How often the population scores as high, and how well that is known.

    Attributes
    ----------
    probability : float32 in (0, 1]; NaN where score, S/N or redshift is not finite.
    relative_uncertainty : float32, one standard deviation of the natural log of ``probability``: relative
        while small; 1 means a factor of e.
    """

    probability: NDArray[np.float32]
    relative_uncertainty: NDArray[np.float32]


class Calibration(nn.Module):
    """The tail of scores among spectra of the same signal-to-noise and redshift.

    Noise and redshift move and widen the distribution of scores. So a score counts in units of its stratum:
    less the median, over the width of the upper half, both smooth additive functions of ln S/N and redshift.
    One :class:`~models.calibration.smooth_tail.SmoothTail` serves all strata. For a fixed S/N and redshift
    the tail falls strictly with the score. With fewer than ``STRATIFIED_FROM`` spectra all are one stratum.

    The spectra that make the tail are standardised by surfaces fitted without them, in folds; otherwise
    they would lie closer to the surfaces than held-out spectra do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.median = QuantileSurface()
        self.log_width = QuantileSurface()
        self.tail_of_all = SmoothTail()

    @classmethod
    def fit(
        cls,
        score: NDArray[np.floating],
        signal_to_noise: NDArray[np.floating],
        redshift: NDArray[np.floating],
    ) -> Calibration:
        """Calibrate by the scores, median S/N per pixel and redshifts of normal spectra, each (n,).

        Spectra of which one of the three is not finite are left out.

        Raises
        ------
        ConfigurationError : too few are left.
        """
        calibration, standard = cls.stratified(score, signal_to_noise, redshift)
        calibration.tail_of_all = SmoothTail.fit(standard)
        return calibration

    @classmethod
    def stratified(
        cls,
        score: NDArray[np.floating],
        signal_to_noise: NDArray[np.floating],
        redshift: NDArray[np.floating],
    ) -> tuple[Calibration, NDArray[np.float64]]:
        """The strata of normal spectra, without a tail, and their scores in units of them, (n,).

        Each score is standardised by surfaces fitted without it. NaN where one of the three is not finite.
        """
        score, signal_to_noise, redshift = (
            np.asarray(part, np.float64) for part in (score, signal_to_noise, redshift)
        )
        known = np.isfinite(score) & np.isfinite(signal_to_noise) & np.isfinite(redshift)
        calibration, standard = cls(), np.where(known, score, np.nan)
        if known.sum() < STRATIFIED_FROM:
            return calibration, standard
        values = np.stack((score, signal_to_noise, redshift))
        place = np.flatnonzero(known)
        fold = np.arange(len(place)) % _FOLDS
        for left_out in range(_FOLDS):
            rest, of_fold = place[fold != left_out], place[fold == left_out]
            calibration._fit_strata(*values[:, rest])
            standard[of_fold] = calibration._standardised(*_tensors(*values[:, of_fold])).numpy()
        calibration._fit_strata(*values[:, place])
        return calibration, standard

    def forward(self, score: Tensor, signal_to_noise: Tensor, redshift: Tensor) -> Tensor:
        """Minus the natural log of the tail probability, same shape, float64; differentiable in all three."""
        depth: Tensor = self.tail_of_all(self._standardised(score, signal_to_noise, redshift))
        return depth

    def tail(
        self,
        score: NDArray[np.floating],
        signal_to_noise: NDArray[np.floating],
        redshift: NDArray[np.floating],
    ) -> Tail:
        """Tail probabilities with their uncertainty, each (n,)."""
        device = self.tail_of_all.knots.device
        values = [part.to(device) for part in _tensors(score, signal_to_noise, redshift)]
        bad = ~torch.stack([torch.isfinite(part) for part in values]).all(dim=0)
        values = [torch.where(bad, 1.0, part) for part in values]
        standard = self._standardised(*values)
        with torch.enable_grad():
            standard.requires_grad_()
            depth = self.tail_of_all(standard)
            (slope,) = torch.autograd.grad(depth.sum(), standard)
        with torch.no_grad():
            signal_to_noise_, redshift_ = values[1:]
            shift = self.median.deviation(signal_to_noise_, redshift_)
            widening = self.log_width.deviation(signal_to_noise_, redshift_) * standard
            spread = torch.sqrt(
                self.tail_of_all.log_spread(standard) ** 2 + slope**2 * (shift**2 + widening**2)
            )
            probability = torch.exp(-depth).clamp(_SMALLEST, 1)
            parts = [torch.where(bad, torch.nan, part) for part in (probability, spread)]
            return Tail(*(part.cpu().numpy().astype(np.float32) for part in parts))

    def tail_probability(
        self,
        score: NDArray[np.floating],
        signal_to_noise: NDArray[np.floating],
        redshift: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        """Share of normal spectra like these that score as high, in (0, 1]; NaN for what is not finite."""
        return self.tail(score, signal_to_noise, redshift).probability

    def stratum(self, signal_to_noise: Tensor, redshift: Tensor) -> tuple[Tensor, Tensor]:
        """Median, and width of the upper half, of usual scores, each of the inputs' shape, float64."""
        return self.median(signal_to_noise, redshift), torch.exp(self.log_width(signal_to_noise, redshift))

    def _standardised(self, score: Tensor, signal_to_noise: Tensor, redshift: Tensor) -> Tensor:
        median, width = self.stratum(signal_to_noise, redshift)
        standardised: Tensor = (score.to(median.dtype) - median) / width
        return standardised

    def _fit_strata(
        self,
        score: NDArray[np.float64],
        signal_to_noise: NDArray[np.float64],
        redshift: NDArray[np.float64],
    ) -> None:
        self.median = QuantileSurface.fit(score, signal_to_noise, redshift, 0.5)
        with torch.no_grad():
            above = score - self.median(*_tensors(signal_to_noise, redshift)).numpy()
        upper = above > 1e-9 * max(float(np.ptp(score)), 1e-30)
        if upper.sum() < STRATIFIED_FROM // 4:
            return
        self.log_width = QuantileSurface.fit(
            np.log(above[upper]), signal_to_noise[upper], redshift[upper], _WIDE
        )
        # Of the median's uncertainty in units of the score, what counts is its share of the width.
        with torch.no_grad():
            width = torch.exp(self.log_width(*_tensors(signal_to_noise, redshift))).mean()
            self.median.covariance /= width**2


def _tensors(*parts: NDArray[np.floating]) -> list[Tensor]:
    return [torch.as_tensor(np.asarray(part, np.float64)) for part in parts]


def quantiles(calibration: NDArray[np.floating]) -> tuple[tuple[float, float], ...]:
    """(probability, score) pairs for a model card."""
    return tuple((p, float(np.quantile(calibration, p))) for p in QUANTILES)
