"""The scoring model: encoder, decoder, density of latents, and the calibration of its scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.calibration.calibration import Calibration
from models.local.local_score import LocalScore
from models.model_card import ModelCard
from models.pixel_errors import depth_of, seen
from models.scoring.decoder import Decoder
from models.scoring.density import LatentDensity
from models.scoring.encoder import Encoder, EncoderHead, EncoderSettings
from models.scoring.joint_score import JointScore
from models.scoring.residual_factors import ResidualFactors
from models.scoring.residual_scan import ResidualScan, excitation, log_ratio
from models.scoring.scan_readout import ScanReadout
from models.spectrum_model import CalibratedModel, ModelOutputs

_SCANNED_AT_ONCE = 4
"""Spectra whose modes on observed pixels are held at once."""


class ScoringModel(CalibratedModel):
    """Scores spectra by the rarity of their latents, by what their residual holds, and by local novelty.

    The parts are joined by :class:`models.scoring.joint_score.JointScore`.
    """

    def __init__(self, card: ModelCard, calibration_size: int) -> None:
        super().__init__()
        self.card = card
        architecture: dict[str, Any] = dict(card.architecture)
        flow = architecture.pop("flow")
        decoder_hidden = tuple(architecture.pop("decoder_hidden"))
        scan = [(width, step) for width, step in architecture.pop("scan")]
        modes = int(architecture.pop("modes"))
        settings = EncoderSettings.from_dict(architecture)
        self.encoder = Encoder(card.grid, card.redshift_max, settings)
        self.decoder = Decoder(
            card.grid, card.rest_start, card.rest_step, card.rest_size, settings.latents, decoder_hidden
        )
        self.density = LatentDensity(settings.latents, flow["transforms"], tuple(flow["hidden"]))
        self.residual_factors = ResidualFactors(card.rest_size, modes)
        self.scan = ResidualScan(card.grid, card.redshift_max, scan)
        self.joint = JointScore()
        self.calibration = Calibration()
        self.register_buffer("calibration_latents", torch.zeros(calibration_size, card.latents))

    def encode(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> Tensor:
        """Latents (B, S) of flux (B, N), ivar (B, N), redshift (B,)."""
        latents: Tensor = self.encoder(flux, seen(ivar), redshift)
        return latents

    def raw_parts(
        self,
        latents: Tensor,
        reconstruction: Tensor,
        flux: Tensor,
        ivar: Tensor,
        redshift: Tensor,
        depth: Tensor,
    ) -> Tensor:
        """The parts of the score, (B, 4), of outputs (B, S) and reconstructions (B, N) of spectra.

        ``depth`` (B,) is that of ``ivar``, see :func:`models.pixel_errors.depth_of`.
        """
        count = self.encoder.settings.latents
        density = -self.density(latents[:, :count], self.density.context(depth, redshift))
        found = [
            self._scanned(flux[part] - reconstruction[part], ivar[part], redshift[part])
            for part in torch.split(torch.arange(len(flux), device=flux.device), _SCANNED_AT_ONCE)
        ]
        return torch.cat((density[:, None], torch.cat(found), latents[:, count:]), dim=-1)

    def _scanned(self, residual: Tensor, ivar: Tensor, redshift: Tensor) -> Tensor:
        """Excitation of the residual factors and log ratio of the scan, (B, 2)."""
        context = self.scan.context(ivar, redshift, self.modes(redshift))
        found = self.scan(residual, context)
        return torch.stack((excitation(found.modes), log_ratio(found.cells, context.log_prior)), dim=-1)

    def modes(self, redshift: Tensor) -> Tensor:
        """Residual factors on observed pixels, (B,) to (B, N, K)."""
        modes: Tensor = self.residual_factors(
            *self.decoder.places(redshift, self.residual_factors.modes.dtype)
        )
        return modes

    def decode(self, latents: Tensor, redshift: Tensor) -> Tensor:
        """Noise-free spectra on the observed grid, (B, S) and (B,) to (B, N); novelty plays no part."""
        spectra: Tensor = self.decoder(latents[:, : self.encoder.settings.latents], redshift)
        return spectra

    def conditioned(self, ivar: Tensor, redshift: float) -> LocalScore:
        """Minus the score, of (batch, N) spectra that share one ivar (N,) and one redshift.

        What depends on ivar and redshift alone is computed once, here.
        """
        ivar = ivar[None]
        known = seen(ivar)
        where = torch.tensor([redshift], device=ivar.device, dtype=torch.float64)
        embedding, log_coverage = self.encoder.context(known, where)
        return LocalScore(
            lift=lambda flux: self.encoder.channels(flux, known),
            layers=self.encoder.layers(embedding),
            pooling=self.encoder.pooling(log_coverage),
            head=(EncoderHead(self.encoder.head, self.encoder.settings),),
            readout=self._readout(ivar, where),
        )

    def _readout(self, ivar: Tensor, redshift: Tensor) -> ScanReadout:
        """Of ivar (1, N) and redshift (1,)."""
        depth = depth_of(ivar)
        context = self.scan.context(ivar, redshift, self.modes(redshift))
        matrix, offset = self.decoder.basis(float(redshift))
        projection, scale = context.projection, context.scale[0]
        profiles = projection.weighted_modes[0]
        # Significances, of cells and then modes, are linear in sums over cells and in sums of profiles.
        mixing = torch.cat((-(projection.correction[0] * scale[:, None]), projection.whitening[0])).T
        columns = torch.cat((matrix, offset[:, None]), dim=1).T
        drawn = nn.functional.pad(self.scan.sums(columns * ivar) * scale, (0, len(mixing)))
        drawn = (drawn + (columns @ profiles) @ mixing).T
        return ScanReadout(
            density=self.density.given(self.density.context(depth, redshift)),
            hidden=self.decoder.hidden,
            drawn=drawn[:, :-1].contiguous(),
            offset=drawn[:, -1].contiguous(),
            scale=scale,
            mixing=mixing.contiguous(),
            log_prior=context.log_prior[0],
            joint=self.joint,
            depth=depth[0],
            redshift=redshift[0],
            weight=ivar[0],
            starts=self.scan.starts,
            stops=self.scan.stops,
            profiles=profiles,
        )

    def outputs(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> ModelOutputs:
        """Latents, scores and reconstructions of flux (B, N), ivar (B, N), redshift (B,)."""
        latents = self.encode(flux, ivar, redshift)
        reconstruction = self.decode(latents, redshift)
        depth = depth_of(ivar)
        raw = self.raw_parts(latents, reconstruction, flux, ivar, redshift, depth)
        score = self.joint(raw, depth, redshift).to(flux.dtype)
        return ModelOutputs(latents, score, reconstruction)
