"""Subject of an attribution: one spectrum, and the model as functions of its flux."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.memory import DEFAULT_MEMORY, spectra_at_once
from engine.attribution.usual_score import usual_score
from engine.spectra.scorer import device_tensor
from models.errors import ConfigurationError, ErrorKind
from models.spectrum_model import LogProb, SpectrumModel


class Decoder(Protocol):
    """What a model draws, at the inverse variance and redshift of one spectrum."""

    @property
    def calibration_size(self) -> int:
        """Number of calibration spectra."""
        ...

    def baselines(self, chosen: NDArray[np.int64]) -> Tensor:
        """Typical spectra: reconstructions of the ``chosen`` (M,) calibration spectra, (M, N) float64."""
        ...

    def reconstructions(self, spectra: Tensor) -> Tensor:
        """The noise-free spectra that the model sees in ``spectra``, (B, N) to (B, N), both float64."""
        ...


class ModelAnew(Protocol):
    """The model as it sees other pixels, or holds another spectrum, of the same redshift."""

    def drawn_from(self, spectra: Tensor, seen: Tensor) -> Tensor:
        """What the model draws if it sees only the ``seen`` (B, N) pixels of ``spectra``, both (B, N)."""
        ...

    def log_prob(self, flux: Tensor) -> LogProb:
        """Minus the score as a function of flux, with held what the model holds in ``flux`` (N,)."""
        ...

    def usual_log_prob(self, tail_probability: float) -> float:
        """What ``log_prob`` gives a spectrum of this tail probability."""
        ...


@dataclass(frozen=True, eq=False)
class Subject:
    """One spectrum to be explained, with all that a method may ask of the model. Nothing is computed unasked.

    Attributes
    ----------
    flux : (N,) float32, as scored; ivar : (N,) float64, 0 where masked. Both on the device of the work.
    redshift : of the spectrum.
    log_prob : minus the score as a function of flux alone, (B, N) float64 to (B,).
    decoder : what the model draws.
    memory_bytes : what a method may take; floats_per_pixel : numbers that ``log_prob`` holds at once for each
        pixel of each spectrum, ``gradient_floats_per_pixel`` with its gradient. Batches are planned from
        them.
    anew : the model with other pixels seen or another spectrum held; None if that cannot be asked.
    """

    flux: Tensor
    ivar: Tensor
    redshift: float
    log_prob: LogProb
    decoder: Decoder
    memory_bytes: int = DEFAULT_MEMORY
    floats_per_pixel: int = 256
    gradient_floats_per_pixel: int = 1024
    anew: ModelAnew | None = None

    @property
    def good(self) -> Tensor:
        """(N,) bool, pixels that carry evidence."""
        return self.ivar > 0

    @cached_property
    def reconstruction(self) -> Tensor:
        """(N,) float64, what the model sees in the spectrum."""
        with torch.no_grad():
            return self.decoder.reconstructions(self.flux.double()[None])[0]

    @cached_property
    def sigma(self) -> Tensor:
        """(N,) float64, errors of the flux; 0 where masked."""
        return torch.where(self.good, self.ivar.clamp_min(torch.finfo(torch.float64).tiny).rsqrt(), 0.0)

    @property
    def model_anew(self) -> ModelAnew:
        """See ``anew``.

        Raises
        ------
        ConfigurationError : it cannot be asked.
        """
        if self.anew is None:
            raise _not_given("other pixels seen, another spectrum held", "forward passes and gradients")
        return self.anew

    def log_probs(self, spectra: Tensor, log_prob: LogProb | None = None) -> Tensor:
        """Of ``spectra`` (B, N) of any floating type, (B,), in batches, without gradients.

        Parameters
        ----------
        log_prob : of the model anew; None for the subject's.

        Raises
        ------
        ConfigurationError : the memory does not hold one spectrum.
        """
        asked = log_prob or self.log_prob
        rows = spectra_at_once(self.memory_bytes, self.floats_per_pixel, spectra.shape[1])
        with torch.no_grad():
            return torch.cat([asked(part.double()).double() for part in torch.split(spectra, rows)])

    def scores(self, spectra: Tensor) -> NDArray[np.float64]:
        """Of ``spectra`` (B, N) of any floating type, (B,); see :meth:`log_probs`."""
        found: NDArray[np.float64] = -self.log_probs(spectra).cpu().numpy()
        return found

    def gradient(self, spectra: Tensor, log_prob: LogProb | None = None) -> Tensor:
        """Gradients of the score at ``spectra`` (B, N), likewise (B, N), in batches.

        Parameters
        ----------
        log_prob : of the model anew; None for the subject's.

        Raises
        ------
        ConfigurationError : the memory does not hold one spectrum, or the model has no gradient.
        """
        asked = log_prob or self.log_prob
        rows = spectra_at_once(self.memory_bytes, self.gradient_floats_per_pixel, spectra.shape[1])
        return torch.cat([_gradient(asked, part) for part in torch.split(spectra, rows)])


def _gradient(log_prob: LogProb, spectra: Tensor) -> Tensor:
    with torch.enable_grad():
        point = spectra.detach().clone().requires_grad_()
        score = -log_prob(point).sum()
        if not score.requires_grad:
            raise _not_given("a gradient", "forward passes alone, such as occlusion")
        (slope,) = torch.autograd.grad(score, point)
    return slope


def check_gradient(model: SpectrumModel) -> None:
    """Refuse a model whose score has no gradient, by asking for one at a flat spectrum.

    Raises
    ------
    ConfigurationError : it has none.
    """
    card = model.card
    flat = np.ones(card.grid.size, np.float32)
    subject = subject_of(model, flat, flat, 0.5 * (card.redshift_min + card.redshift_max))
    subject.gradient(subject.flux[None].double())


def _not_given(what: str, instead: str) -> ConfigurationError:
    return ConfigurationError(
        "A method of attribution asks of a model what it does not give.",
        where="the method's needs",
        got=f"a model without {what}",
        allowed=f"a model with {what}",
        remedy=f"Choose a method that needs {instead}, or another model.",
        kind=ErrorKind.ATTRIBUTION_NEED,
    )


def subject_of(
    model: SpectrumModel,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    redshift: float,
    *,
    device: torch.device | None = None,
    memory_bytes: int = DEFAULT_MEMORY,
) -> Subject:
    """A spectrum, and ``model`` given its inverse variance and redshift.

    Parameters
    ----------
    model : in float64, on ``device``.
    flux, ivar : (N,) as scored.
    device : of the work; None for the processor.
    memory_bytes : what a method may take.
    """
    device = device or torch.device("cpu")
    spectrum, weight = device_tensor(flux, device), device_tensor(ivar, device).double()
    with torch.no_grad():
        log_prob = model.conditioned(spectrum.double(), weight, redshift)
    return Subject(
        flux=spectrum,
        ivar=weight,
        redshift=redshift,
        log_prob=log_prob,
        decoder=_ModelDecoder(model, weight, redshift),
        memory_bytes=memory_bytes,
        floats_per_pixel=model.floats_per_pixel,
        gradient_floats_per_pixel=model.gradient_floats_per_pixel,
        anew=_ModelAnew(model, spectrum, weight, redshift),
    )


@dataclass(frozen=True, eq=False)
class _ModelDecoder:
    model: SpectrumModel
    ivar: Tensor
    redshift: float

    @property
    def calibration_size(self) -> int:
        return self.model.calibration_size

    def baselines(self, chosen: NDArray[np.int64]) -> Tensor:
        with torch.no_grad():
            return self.model.baselines(self.redshift, chosen)

    def reconstructions(self, spectra: Tensor) -> Tensor:
        return _reconstructed(self.model, spectra, self.ivar.expand_as(spectra), self.redshift)


@dataclass(frozen=True, eq=False)
class _ModelAnew:
    model: SpectrumModel
    flux: Tensor
    ivar: Tensor
    redshift: float

    def drawn_from(self, spectra: Tensor, seen: Tensor) -> Tensor:
        with torch.no_grad():
            return _reconstructed(self.model, spectra, torch.where(seen, self.ivar, 0.0), self.redshift)

    def log_prob(self, flux: Tensor) -> LogProb:
        with torch.no_grad():
            return self.model.conditioned(flux.double(), self.ivar, self.redshift)

    def usual_log_prob(self, tail_probability: float) -> float:
        score = usual_score(self.model, self.flux, self.ivar, self.redshift, tail_probability)
        return self.model.log_prob_of(score, self.ivar)


def _reconstructed(model: SpectrumModel, spectra: Tensor, ivar: Tensor, redshift: float) -> Tensor:
    redshifts = torch.full((len(spectra),), redshift, dtype=torch.float64, device=spectra.device)
    return model.reconstructed(spectra, ivar, redshifts)
