"""The variational model: an autoencoder of rest-frame spectra, scored by its reconstruction.

The kind of model of Ortiz Manrique & Boquien (A&A 703, A242, 2025): a perceptron that narrows towards a
few latents and one that widens again, spectra brought to the rest frame before, a reconstruction score
as the measure of oddness. Two forms, as of the scores in :mod:`models.reconstruction_scores`:

``ivar``, the default: rest-frame pixels are means weighted by inverse variance; the score compares on the
observed pixels, with their noise.

``published`` : spectra are interpolated, gaps filled with the population's median.

Inference is deterministic in both: latents are the posterior's mean. (The published code samples them
there too, and its scores carry that noise.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from models.calibration.calibration import Calibration
from models.model_card import ModelCard
from models.reconstruction_scores import ReconstructedSpectra, ReconstructionScore
from models.score_kinds import Form
from models.spectrum_model import CalibratedModel, ModelOutputs
from models.variational.likelihood import Likelihood
from models.variational.rest_frame import RestFrame, RestTaps

KIND = "variational"
_ROWS_AT_ONCE = 32
"""Spectra brought to the rest frame together: taps are many times a spectrum's size."""


@dataclass(frozen=True)
class VariationalArchitecture:
    """What rebuilds the modules.

    Attributes
    ----------
    form : how spectra come to the rest frame, and how training compares them.
    score : name of the reconstruction score that is the model's score.
    latents : number of latents.
    hidden : widths of the encoder's hidden layers; the decoder has them in reverse.
    """

    form: Form = "ivar"
    score: str = "ivar_chi2_all_100"
    latents: int = 12
    hidden: tuple[int, ...] = (256, 128, 64)

    def to_dict(self) -> dict[str, Any]:
        """The card's entry; :meth:`from_dict` is its inverse."""
        return {**asdict(self), "hidden": list(self.hidden), "novelty": 0}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> VariationalArchitecture:
        """The architecture that :meth:`to_dict` described."""
        return cls(entry["form"], entry["score"], int(entry["latents"]), tuple(entry["hidden"]))


class VariationalModel(CalibratedModel):
    """Scores spectra by how badly a variational autoencoder reconstructs them.

    Parameters
    ----------
    card : its ``architecture`` is a :class:`VariationalArchitecture`'s.
    calibration_size : number of calibration spectra.
    """

    usual: Tensor
    wavelength: Tensor

    def __init__(self, card: ModelCard, calibration_size: int) -> None:
        super().__init__()
        self.card = card
        self.architecture = VariationalArchitecture.from_dict(card.architecture)
        hidden, latents = self.architecture.hidden, self.architecture.latents
        self.frame = RestFrame(card.grid, card.rest_start, card.rest_step, card.rest_size)
        self.first = nn.Linear(card.rest_size, hidden[0])
        self.rest_of_encoder = _perceptron(hidden)
        self.posterior = nn.Linear(hidden[-1], 2 * latents)
        self.decoder = nn.Sequential(nn.Linear(latents, hidden[-1]), nn.ReLU(), *_perceptron(hidden[::-1]))
        self.output = nn.Linear(hidden[0], card.rest_size)
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)
        self.reconstruction_score = ReconstructionScore(self.architecture.score)
        self.calibration = Calibration()
        self.register_buffer("usual", torch.ones(card.rest_size))
        self.register_buffer("calibration_latents", torch.zeros(calibration_size, latents))
        self.register_buffer("wavelength", torch.from_numpy(card.grid.wavelength()), persistent=False)

    def taps(self, ivar: Tensor, redshift: Tensor) -> RestTaps:
        """How spectra of ivar (B, N) at redshift (B,) come to the rest frame."""
        way = self.frame.averaging if self.architecture.form == "ivar" else self.frame.sampling
        return way(ivar, redshift, self.usual)

    def encode_rest(self, rest: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the posterior, each (B, S), of rest-frame spectra (B, R)."""
        return self._posterior(self.first(rest - self.usual))

    def decode_rest(self, latents: Tensor) -> Tensor:
        """Rest-frame spectra of latents, (B, S) to (B, R)."""
        rest: Tensor = self.usual + self.output(self.decoder(latents))
        return rest

    def encode(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> Tensor:
        """Latents (B, S), the posterior's mean, of flux (B, N), ivar (B, N), redshift (B,)."""
        flux = torch.where(ivar > 0, flux, 0)
        few = (torch.split(values, _ROWS_AT_ONCE) for values in (flux, ivar, redshift))
        parts = [
            self.encode_rest(self.taps(noise, at).apply(some))[0]
            for some, noise, at in zip(*few, strict=True)
        ]
        return torch.cat(parts)

    def decode(self, latents: Tensor, redshift: Tensor) -> Tensor:
        """Noise-free spectra on the observed grid, (B, S) and (B,) to (B, N)."""
        return self.frame.to_observed(self.decode_rest(latents), redshift)

    def outputs(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> ModelOutputs:
        """Latents, scores and reconstructions of flux (B, N), ivar (B, N), redshift (B,)."""
        latents = self.encode(flux, ivar, redshift)
        reconstruction = self.decode(latents, redshift)
        spectra = ReconstructedSpectra(flux, ivar, ivar > 0, reconstruction, redshift, self.wavelength)
        return ModelOutputs(latents, self.reconstruction_score(spectra), reconstruction)

    def conditioned(self, flux: Tensor, ivar: Tensor, redshift: float) -> Likelihood:  # noqa: ARG002
        """Natural log of the likelihood of spectra that share one ivar (N,) and one redshift.

        That is minus half the sum whose mean, or root, is the score: the spectra's own order, in nat.
        What depends on ivar and redshift alone is computed once, here.
        """
        at = torch.tensor([redshift], dtype=torch.float64, device=ivar.device)
        taps = self.taps(ivar[None], at)
        return Likelihood(
            ivar=ivar,
            redshift=at,
            wavelength=self.wavelength,
            first=taps.folded(self.first.weight, len(ivar)).T,
            first_bias=self.first(taps.offset - self.usual),
            latents=lambda first: self._posterior(first)[0],
            decoder=self.decoder,
            last=self.frame.to_observed(
                self.output.weight.T.contiguous(), at.expand(self.output.in_features)
            ),
            last_bias=self.decode_bias(at),
            score=self.reconstruction_score,
            total=self._total,
        )

    def decode_bias(self, redshift: Tensor) -> Tensor:
        """What every reconstruction at the redshifts (B,) holds whatever its latents, (B, N)."""
        rest = (self.usual + self.output.bias).expand(len(redshift), -1)
        return self.frame.to_observed(rest, redshift)

    def _posterior(self, first: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.posterior(self.rest_of_encoder(first.relu())).chunk(2, dim=1)
        return mean, log_variance

    def log_prob_of(self, score: float, ivar: Tensor) -> float:
        """See :class:`models.spectrum_model.SpectrumModel`."""
        return float(-0.5 * self._total(torch.tensor(score, dtype=torch.float64, device=ivar.device), ivar))

    def _total(self, score: Tensor, ivar: Tensor) -> Tensor:
        """The sum of squares that a score (B,) is made from, of spectra of one ivar (N,)."""
        kind = self.reconstruction_score.kind
        if kind.form == "published":
            return score.square()
        return score * ((ivar > 0).sum() if kind.statistic == "chi2" else ivar.double().sum())


def _perceptron(widths: tuple[int, ...]) -> nn.Sequential:
    """Layers from each width to the next, a rectifier after each."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)
