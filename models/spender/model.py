"""Spender's encoder, decoder and flow as one scoring model of whyspec."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from models.calibration.calibration import Calibration
from models.model_card import ModelCard
from models.pixel_errors import seen
from models.spectrum_model import CalibratedModel, LogProb, ModelOutputs
from models.spender.decoder import SpenderDecoder
from models.spender.encoder import SpenderEncoder
from models.spender.flow import SpenderFlow
from models.spender.gap_filling import GapFilling
from models.spender.quick import QuickEncoder

KIND = "spender"


class SpenderModel(CalibratedModel):
    """Scores spectra by minus the log density of spender's latents.

    The encoder was made for spectra without gaps and takes no inverse variance: pixels that are masked, or of
    unusually large errors, are filled from their neighbours. It couples all pixels, so explanations take full
    forward passes.
    """

    def __init__(self, card: ModelCard, calibration_size: int) -> None:
        super().__init__()
        self.card = card
        sizes: dict[str, Any] = dict(card.architecture)
        self._first, self._stop = sizes["first_pixel"], sizes["first_pixel"] + sizes["pixels"]
        self.encoder = SpenderEncoder(sizes["latents"], sizes["encoder_hidden"])
        self.decoder = SpenderDecoder(
            card.grid,
            sizes["latents"],
            sizes["decoder_hidden"],
            sizes["activation"],
            sizes["rest_size"],
            sizes["line_spread"],
        )
        self.flow = SpenderFlow(sizes["latents"], **sizes["flow"])
        self.calibration = Calibration()
        # For explanations; made when the first is asked for, of weights that do not change any more.
        self._quick: tuple[QuickEncoder, SpenderFlow] | None = None
        self.register_buffer("calibration_latents", torch.zeros(calibration_size, sizes["latents"]))

    def encode(self, flux: Tensor, ivar: Tensor) -> Tensor:
        """Latents (B, S) of flux and ivar (B, N)."""
        part, known = slice(self._first, self._stop), seen(ivar)
        latents: Tensor = self.encoder(GapFilling(known[:, part] > 0)(flux[:, part]))
        return latents

    def decode(self, latents: Tensor, redshift: Tensor) -> Tensor:
        """Noise-free spectra on the observed grid, (B, S) and (B,) to (B, N)."""
        spectra: Tensor = self.decoder(latents, redshift)
        return spectra

    def outputs(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> ModelOutputs:
        """Latents, scores and reconstructions of flux (B, N), ivar (B, N), redshift (B,)."""
        latents = self.encode(flux, ivar)
        return ModelOutputs(latents, -self.flow(latents), self.decode(latents, redshift))

    def conditioned(self, flux: Tensor, ivar: Tensor, redshift: float) -> LogProb:  # noqa: ARG002 - holds nothing
        """Log density of the latents of (B, N) spectra that share one ivar (N,), in the spectra's own type.

        Explanations hold this model in float64 and ask for float32 where there are thousands of passes;
        those go through a :class:`~models.spender.quick.QuickEncoder` on a processor.
        """
        part = slice(self._first, self._stop)
        fill = GapFilling(seen(ivar[None])[:, part] > 0)

        def log_prob(flux: Tensor) -> Tensor:
            encoder, flow = self._parts(flux)
            log_density: Tensor = flow(encoder(fill(flux[:, part])))
            return log_density

        return log_prob

    def _parts(self, flux: Tensor) -> tuple[Callable[[Tensor], Tensor], SpenderFlow]:
        """Encoder and flow for spectra of that type on that device."""
        if flux.dtype == torch.float32 and flux.device.type == "cpu" and not flux.requires_grad:
            if self._quick is None:
                self._quick = QuickEncoder(self.encoder), copy.deepcopy(self.flow).float()
            return self._quick
        if flux.dtype == self.flow.scale.dtype:
            return self.encoder, self.flow
        return copy.deepcopy(self.encoder).to(flux.dtype), copy.deepcopy(self.flow).to(flux.dtype)
