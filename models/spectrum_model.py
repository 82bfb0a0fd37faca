"""Spectrum models: what whyspec asks of any scoring model, whatever its parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.calibration.calibration import Calibration, Tail
from models.causes.estimate import BetterRedshift, Measurement, UsualRedshift
from models.model_card import ModelCard
from models.model_files import FLOATS_PER_PIXEL, GRADIENT_FLOATS_PER_PIXEL

LogProb = Callable[[Tensor], Tensor]
"""A model as occlusion sees it: spectra (B, N) to minus their score (B,), in nat."""


@runtime_checkable
class MixtureLogProb(Protocol):
    """A model that knows a cheaper way to the scores of spectra which are sums of few pieces."""

    def mixture(self, pieces: Tensor) -> LogProb | None:
        """Minus the score of ``shares @ pieces``, as a function of shares (B, P), for pieces (P, N).

        None where there is no cheaper way.
        """
        ...


@dataclass(frozen=True, eq=False)
class ModelOutputs:
    """What a model says of B spectra.

    Attributes
    ----------
    latents : (B, S).
    score : (B,), the higher the odder.
    reconstruction : (B, N), the noise-free spectrum that the model sees in each.
    """

    latents: Tensor
    score: Tensor
    reconstruction: Tensor


class SpectrumModel(nn.Module, ABC):
    """A scoring model.

    All spectra are flux divided by its median in the card's rest-frame window; ``ivar`` is that of
    the divided flux. Pixels of zero ``ivar`` have no influence whatever their flux.
    """

    card: ModelCard

    @property
    def floats_per_pixel(self) -> int:
        """Numbers held at once for each pixel of each spectrum that is scored, to plan memory by."""
        return FLOATS_PER_PIXEL[self.card.kind](self.card)

    @property
    def gradient_floats_per_pixel(self) -> int:
        """The same for spectra whose score is differentiated: layers keep what they gave."""
        return GRADIENT_FLOATS_PER_PIXEL[self.card.kind](self.card)

    @property
    @abstractmethod
    def calibration_size(self) -> int:
        """Number of calibration spectra, from which baselines are drawn."""

    @abstractmethod
    def outputs(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> ModelOutputs:
        """Latents, scores and reconstructions of flux (B, N), ivar (B, N), redshift (B,)."""

    def reconstructed(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> Tensor:
        """The reconstructions alone, (B, N), of the arguments of :meth:`outputs`."""
        return self.outputs(flux, ivar, redshift).reconstruction

    def cause_probabilities(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> Tensor | None:  # noqa: ARG002
        """How probable each cause is, (B, causes) in the order of ``TEMPLATE_CAUSES``.

        Of the arguments of :meth:`outputs`. What is missing from 1 is unknown. None of a model that looks for
        no causes.
        """
        return None

    def better_redshift(self, flux: Tensor, ivar: Tensor, redshift: float) -> BetterRedshift | None:  # noqa: ARG002
        """The redshift at which a spectrum, flux (N,) and ivar (N,), is most usual.

        None for a model that looks for none, and for a spectrum that has no other.
        """
        return None

    def usual_redshift(self, flux: Tensor, ivar: Tensor, most_misfit: float) -> UsualRedshift | None:  # noqa: ARG002
        """The redshift at which a spectrum of any class, flux (N,) and ivar (N,) in any unit, is most usual.

        Only redshifts count at which the reconstruction's chi-square, see
        :func:`models.scoring.better_redshift.misfit`, is below ``most_misfit``. None for a model that looks
        for none, and for a spectrum that it can score at no such redshift.
        """
        return None

    def measurement(self, flux: Tensor, ivar: Tensor, redshift: float, cause: str) -> Measurement:  # noqa: ARG002
        """What ``cause`` measures in one spectrum, flux (N,) and ivar (N,); and what cannot be tested there.

        Nothing for a model that looks for no causes.
        """
        return Measurement()

    @abstractmethod
    def conditioned(self, flux: Tensor, ivar: Tensor, redshift: float) -> LogProb:
        """Minus the score, of (B, N) spectra that share one ivar (N,) and one redshift.

        What a model holds as it is in one spectrum, it takes from ``flux`` (N,): there the two are equal.

        In nat: of a model whose score is not, the log likelihood that it is made from, which orders these
        spectra as the score does.

        A :class:`models.local.local_score.LocalScore` is occluded at the cost of its seams, any other
        function by full forward passes.
        """

    def log_prob_of(self, score: float, ivar: Tensor) -> float:  # noqa: ARG002
        """What :meth:`conditioned` gives a spectrum of that score and ``ivar`` (N,)."""
        return -score

    @abstractmethod
    def baselines(self, redshift: float, chosen: NDArray[np.int64]) -> Tensor:
        """Typical spectra at a redshift: reconstructions of the ``chosen`` calibration spectra, (M, N)."""

    @abstractmethod
    def tail(
        self,
        score: NDArray[np.floating],
        signal_to_noise: NDArray[np.floating],
        redshift: NDArray[np.floating],
    ) -> Tail:
        """Share of usual spectra, like these in S/N and redshift, with a score at least as high, (n,).

        With its uncertainty; NaN where the score is not finite.
        """

    def tail_probability(
        self,
        score: NDArray[np.floating],
        signal_to_noise: NDArray[np.floating],
        redshift: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        """The share alone, see :meth:`tail`."""
        return self.tail(score, signal_to_noise, redshift).probability


class CalibratedModel(SpectrumModel):
    """A model that keeps its calibration, and the latents (n, S) from which baselines are decoded."""

    calibration: Calibration
    calibration_latents: Tensor

    @property
    def calibration_size(self) -> int:
        """See :class:`SpectrumModel`."""
        return len(self.calibration_latents)

    def latents_of(self, chosen: NDArray[np.int64]) -> Tensor:
        """Latents (M, S) of the ``chosen`` calibration spectra."""
        return self.calibration_latents[torch.from_numpy(chosen).to(self.calibration_latents.device)]

    @abstractmethod
    def decode(self, latents: Tensor, redshift: Tensor) -> Tensor:
        """Noise-free spectra on the observed grid, (B, S) and (B,) to (B, N)."""

    def baselines(self, redshift: float, chosen: NDArray[np.int64]) -> Tensor:
        """See :class:`SpectrumModel`."""
        latents = self.latents_of(chosen)
        redshifts = torch.full((len(chosen),), redshift, dtype=torch.float64, device=latents.device)
        return self.decode(latents, redshifts)

    def tail(
        self,
        score: NDArray[np.floating],
        signal_to_noise: NDArray[np.floating],
        redshift: NDArray[np.floating],
    ) -> Tail:
        """See :class:`SpectrumModel`."""
        return self.calibration.tail(score, signal_to_noise, redshift)
