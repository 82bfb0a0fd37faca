"""The scoring model: encoder, decoder, density of latents, and the calibration of its scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.calibration import Calibration
from models.decoder import Decoder
from models.density import LatentDensity
from models.encoder import Encoder, EncoderHead, EncoderSettings
from models.local_score import LocalScore
from models.model_card import ModelCard
from models.spectrum_model import ModelOutputs, SpectrumModel


class ScoringModel(SpectrumModel):
    """Scores spectra by minus the log density of their latents, novelty outputs included."""

    calibration_latents: Tensor

    def __init__(self, card: ModelCard, calibration_size: int) -> None:
        super().__init__()
        self.card = card
        architecture: dict[str, Any] = dict(card.architecture)
        flow = architecture.pop("flow")
        decoder_hidden = tuple(architecture.pop("decoder_hidden"))
        settings = EncoderSettings.from_dict(architecture)
        self.encoder = Encoder(card.grid, card.redshift_max, settings)
        self.decoder = Decoder(
            card.grid, card.rest_start, card.rest_step, card.rest_size, settings.latents, decoder_hidden
        )
        self.density = LatentDensity(card.latents, flow["transforms"], tuple(flow["hidden"]))
        self.calibration = Calibration()
        self.register_buffer("calibration_latents", torch.zeros(calibration_size, card.latents))

    @property
    def floats_per_pixel(self) -> int:
        """Numbers held at once for each pixel of each spectrum that is scored, to plan memory by."""
        settings = self.encoder.settings
        # Flux, its copies while it is pasted and scaled, the first layer's three channels; then
        # every layer's output before and after its activation.
        held, stride = 10.0, 1
        for channels, step in zip(settings.channels, settings.strides, strict=True):
            stride *= step
            held += 2 * channels / stride
        return math.ceil(held)

    @property
    def calibration_size(self) -> int:
        """Number of calibration spectra."""
        return len(self.calibration_latents)

    def encode(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> Tensor:
        """Latents (B, S) of flux (B, N), ivar (B, N), redshift (B,)."""
        latents: Tensor = self.encoder(flux, ivar, redshift)
        return latents

    def latent_log_prob(self, latents: Tensor) -> Tensor:
        """Natural log of the density of latents, (B, S) to (B,)."""
        log_prob: Tensor = self.density(latents)
        return log_prob

    def log_prob(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> Tensor:
        """Natural log of the density of the spectra's latents, (B,). The score is minus this."""
        return self.latent_log_prob(self.encode(flux, ivar, redshift))

    def decode(self, latents: Tensor, redshift: Tensor) -> Tensor:
        """Noise-free spectra on the observed grid, (B, S) and (B,) to (B, N); novelty plays no part."""
        spectra: Tensor = self.decoder(latents[:, : self.encoder.settings.latents], redshift)
        return spectra

    def conditioned(self, ivar: Tensor, redshift: float) -> LocalScore:
        """``log_prob`` of (batch, N) spectra that share one ivar (N,) and one redshift.

        What depends on ivar and redshift alone is computed once, here.
        """
        ivar = ivar[None]
        embedding, log_coverage = self.encoder.context(
            ivar, torch.tensor([redshift], device=ivar.device, dtype=torch.float64)
        )
        return LocalScore(
            lift=lambda flux: self.encoder.channels(flux, ivar),
            layers=self.encoder.layers(embedding),
            pooling=self.encoder.pooling(log_coverage),
            head=(EncoderHead(self.encoder.head, self.encoder.settings), self.density),
        )

    def baselines(self, redshift: float, chosen: NDArray[np.int64]) -> Tensor:
        """Typical spectra at a redshift: reconstructions of the ``chosen`` calibration spectra, (M, N)."""
        latents = self.calibration_latents[torch.from_numpy(chosen).to(self.calibration_latents.device)]
        redshifts = torch.full((len(chosen),), redshift, dtype=torch.float64, device=latents.device)
        return self.decode(latents, redshifts)

    def outputs(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> ModelOutputs:
        """Latents, scores and reconstructions of flux (B, N), ivar (B, N), redshift (B,)."""
        latents = self.encode(flux, ivar, redshift)
        return ModelOutputs(latents, -self.latent_log_prob(latents), self.decode(latents, redshift))

    def tail_probability(
        self,
        score: NDArray[np.floating],
        signal_to_noise: NDArray[np.floating],
        redshift: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        """Share of usual spectra, like these in S/N and redshift, with a score at least as high, (n,)."""
        return self.calibration.tail_probability(score, signal_to_noise, redshift)
