"""The scoring model: encoder, decoder, density of latents, and the calibration of its scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.calibration.calibration import Calibration
from models.causes.bank import cause_banks
from models.causes.estimate import BetterRedshift, Measurement, UsualRedshift
from models.causes.measurement import best_template, estimates
from models.causes.names import TEMPLATE_CAUSES
from models.causes.template_bank import TemplateBank
from models.causes.whitened import WhitenedResidual, matched, together
from models.local.local_score import LocalScore
from models.model_card import ModelCard
from models.pixel_errors import depth_of, seen
from models.scoring.better_redshift import better_redshift, usual_redshift
from models.scoring.decoder import Decoder
from models.scoring.density import LatentDensity
from models.scoring.encoder import Encoder, EncoderHead, EncoderSettings
from models.scoring.followed import follow, follow_cells
from models.scoring.joint_score import JointScore
from models.scoring.naming import PartEvidence
from models.scoring.noise_floor import weights
from models.scoring.placed_modes import PlacedModes
from models.scoring.residual_factors import ResidualFactors
from models.scoring.residual_scan import Projection, ResidualScan, excitation
from models.scoring.scan_readout import ScanReadout
from models.scoring.searches import Searches, log_share
from models.spectrum_model import CalibratedModel, ModelOutputs

_AT_ONCE = 4
"""Spectra that are encoded, and searched, at once: few enough to stay in a processor's caches."""


class ScoringModel(CalibratedModel):
    """Scores spectra by the rarity of their latents and by what their residual holds.

    The parts are joined by :class:`models.scoring.joint_score.JointScore`.
    """

    def __init__(self, card: ModelCard, calibration_size: int) -> None:
        super().__init__()
        self.card = card
        architecture: dict[str, Any] = dict(card.architecture)
        flow = architecture.pop("flow")
        decoder_hidden = tuple(architecture.pop("decoder_hidden"))
        scan = [(width, step) for width, step in architecture.pop("scan")]
        arm_edges = [float(edge) for edge in architecture.pop("arm_edges")]
        modes = int(architecture.pop("modes"))
        settings = EncoderSettings.from_dict(architecture)
        self.encoder = Encoder(card.grid, card.redshift_max, settings)
        self.decoder = Decoder(
            card.grid, card.rest_start, card.rest_step, card.rest_size, settings.latents, decoder_hidden
        )
        self.density = LatentDensity(settings.latents, flow["transforms"], tuple(flow["hidden"]))
        self.residual_factors = ResidualFactors(card.rest_size, modes)
        self.scan = ResidualScan(card.grid, card.redshift_max, scan)
        self.banks = cause_banks(card.grid, arm_edges)
        self.joint = JointScore(len(scan))
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
        """The parts of the score, (B, P), of outputs (B, S) and reconstructions (B, N) of spectra.

        ``depth`` (B,) is that of ``ivar``, see :func:`models.pixel_errors.depth_of`.
        """
        count = self.encoder.settings.latents
        density = -self.density(latents[:, :count], self.density.context(depth, redshift))
        found = [
            self._searched(flux[part], ivar[part], reconstruction[part], at)
            for part, at in zip(
                torch.split(torch.arange(len(flux), device=flux.device), _AT_ONCE),
                torch.split(redshift, _AT_ONCE),
                strict=True,
            )
        ]
        return torch.cat((density[:, None], torch.cat(found)), dim=-1)

    def _searched(self, flux: Tensor, ivar: Tensor, reconstruction: Tensor, redshift: Tensor) -> Tensor:
        """Excitation of the residual factors, then the log ratio of every search, (B, 1 + G)."""
        residual = flux - reconstruction
        weight = weights(residual, ivar, reconstruction)
        context = self.scan.context(weight, redshift, self.modes(redshift))
        of_scan = self.scan(residual, context)
        whitened = _whitened(residual, reconstruction, redshift, context.projection)
        found = [bank.products(whitened) for bank in self._banks]
        matches = matched(together(found))
        sizes = (*self.scan.sizes, *(each.full.shape[1] for each in found))
        usable = torch.split(matches.usable, list(sizes[len(self.scan.sizes) :]), dim=1)
        shares = [log_share(each).to(flux.dtype) for each in usable]
        searches = Searches(
            sizes,
            torch.cat((context.log_prior, *shares), dim=1),
            flux.new_full((len(sizes),), -math.inf),
            self._sharpness,
            self._signs,
        )
        ratios = searches.log_ratios(torch.cat((of_scan.cells, matches.significance), dim=1))
        return torch.cat((excitation(of_scan.modes)[:, None], ratios), dim=-1)

    @property
    def _banks(self) -> list[TemplateBank]:
        return [bank for bank in self.banks.values() if isinstance(bank, TemplateBank)]

    def bank(self, cause: str) -> TemplateBank:
        """The templates of ``cause``, which is among ``TEMPLATE_CAUSES``."""
        return self._banks[TEMPLATE_CAUSES.index(cause)]

    @property
    def _sharpness(self) -> tuple[float, ...]:
        return (*(1.0 for _ in self.scan.sizes), *(bank.sharpness for bank in self._banks))

    @property
    def _signs(self) -> tuple[int, ...]:
        return (*(0 for _ in self.scan.sizes), *(bank.sign for bank in self._banks))

    def modes(self, redshift: Tensor) -> PlacedModes:
        """Residual factors on the pixels of spectra at redshifts (B,)."""
        modes: PlacedModes = self.residual_factors(
            *self.decoder.places(redshift, self.residual_factors.modes.dtype)
        )
        return modes

    def decode(self, latents: Tensor, redshift: Tensor) -> Tensor:
        """Noise-free spectra on the observed grid, (B, S) and (B,) to (B, N); novelty plays no part."""
        spectra: Tensor = self.decoder(latents[:, : self.encoder.settings.latents], redshift)
        return spectra

    def baselines(self, redshift: float, chosen: NDArray[np.int64]) -> Tensor:
        """See :class:`models.spectrum_model.SpectrumModel`: decoded at one redshift, so placed once."""
        matrix, offset = self.decoder.basis(redshift)
        drawn = self.latents_of(chosen)[:, : self.encoder.settings.latents]
        return torch.addmm(offset, self.decoder.hidden(drawn), matrix.T)

    def conditioned(self, flux: Tensor, ivar: Tensor, redshift: float) -> LocalScore:
        """Minus the score, of (batch, N) spectra that share one ivar (N,) and one redshift.

        What depends on ivar and redshift alone is computed once, here. So is what is held as it is in the
        spectrum ``flux`` (N,): the noise floor, the misfit at which parts are compared, and which templates
        of every cause are followed, the most significant ones.
        """
        ivar, flux = ivar[None], flux[None]
        known = seen(ivar)
        where = torch.tensor([redshift], device=ivar.device, dtype=torch.float64)
        embedding, log_coverage = self.encoder.context(known, where)
        reconstruction = self.decode(self.encode(flux, ivar, where), where)
        return LocalScore(
            lift=lambda flux: self.encoder.channels(flux, known),
            layers=self.encoder.layers(embedding),
            pooling=self.encoder.pooling(log_coverage),
            head=(EncoderHead(self.encoder.head, self.encoder.settings),),
            readout=self._readout(flux, ivar, where, reconstruction),
        )

    def _readout(self, flux: Tensor, ivar: Tensor, redshift: Tensor, reconstruction: Tensor) -> ScanReadout:
        """Of flux, ivar and reconstruction (1, N), and redshift (1,)."""
        residual = flux - reconstruction
        depth, weight = depth_of(ivar), weights(residual, ivar, reconstruction)
        context = self.scan.context(weight, redshift, self.modes(redshift))
        projection = context.projection
        found = self.scan(residual, context)
        cells = follow_cells(found.cells[0], context.log_prior[0], self.scan.sizes)
        scale = context.scale[0, cells.chosen]
        matrix, offset = self.decoder.basis(float(redshift))
        # Significances, of cells, templates and modes, are linear in sums over cells and in sums of profiles.
        whitened = _whitened(residual, reconstruction, redshift, projection).one()
        followed = follow(self._banks, whitened)
        profiles = torch.cat((whitened.weighted_modes, followed.profiles), dim=1)
        per_mode = (
            -(projection.of_cells[0, cells.chosen] * scale[:, None]),
            followed.of_modes,
            projection.whitening[0],
        )
        mixing, template_scale = torch.cat(per_mode).T, 1 / followed.norm
        columns = torch.cat((matrix, offset[:, None]), dim=1).T
        sums = self.scan.sums(columns * weight)[:, cells.chosen]
        of_modes, of_templates = torch.split(columns @ profiles, [len(mixing), len(template_scale)], dim=1)
        own = torch.cat((sums * scale, of_templates * template_scale), dim=1)
        drawn = (nn.functional.pad(own, (0, len(mixing))) + of_modes @ mixing).T
        searches = Searches(
            (*cells.sizes, *followed.sizes),
            torch.cat((context.log_prior[0, cells.chosen], followed.log_prior)),
            torch.cat((cells.log_rest, followed.log_rest)),
            self._sharpness,
            self._signs,
        )
        return ScanReadout(
            density=self.density.given(self.density.context(depth, redshift)),
            hidden=self.decoder.hidden,
            drawn=drawn[:, :-1].contiguous(),
            offset=drawn[:, -1].contiguous(),
            scale=scale,
            template_scale=template_scale,
            mixing=mixing.contiguous(),
            searches=searches,
            joint=self.joint,
            depth=depth[0],
            redshift=redshift[0],
            misfit=excitation(found.modes)[0],
            weight=weight[0],
            starts=self.scan.starts[cells.chosen],
            stops=self.scan.stops[cells.chosen],
            profiles=profiles,
        )

    def reconstructed(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> Tensor:
        """See :class:`models.spectrum_model.SpectrumModel`; nothing is searched for."""
        return self.decode(self.encode(flux, ivar, redshift), redshift)

    def cause_probabilities(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> Tensor:
        """See :class:`models.spectrum_model.SpectrumModel`: see :mod:`models.scoring.naming`."""
        _, _, raw, depth = self._parts(flux, ivar, redshift)
        return self.joint.cause_probabilities(raw, depth, redshift)

    def whitened(self, flux: Tensor, ivar: Tensor, redshift: float) -> WhitenedResidual:
        """What causes are searched for in, of flux (N,) and ivar (N,)."""
        flux, ivar = flux[None], ivar[None]
        where = torch.tensor([redshift], device=ivar.device, dtype=torch.float64)
        reconstruction = self.decode(self.encode(flux, ivar, where), where)
        residual = flux - reconstruction
        projection = self.scan.projection(weights(residual, ivar, reconstruction), self.modes(where))
        return _whitened(residual, reconstruction, where, projection).one()

    def better_redshift(self, flux: Tensor, ivar: Tensor, redshift: float) -> BetterRedshift | None:
        """See :class:`models.spectrum_model.SpectrumModel`."""
        return better_redshift(self, flux, ivar, redshift)

    def usual_redshift(self, flux: Tensor, ivar: Tensor, most_misfit: float) -> UsualRedshift | None:
        """See :class:`models.spectrum_model.SpectrumModel`."""
        return usual_redshift(self, flux, ivar, most_misfit)

    def measurement(self, flux: Tensor, ivar: Tensor, redshift: float, cause: str) -> Measurement:
        """See :class:`models.spectrum_model.SpectrumModel`."""
        whitened = self.whitened(flux, ivar, redshift)
        found = {name: bank.search(whitened) for name, bank in zip(self.banks, self._banks, strict=True)}
        not_testable = tuple(name for name, each in found.items() if not bool(each.usable.any()))
        if cause not in found:
            return Measurement(not_testable=not_testable)
        bank = self.bank(cause)
        template = best_template(bank, found[cause], whitened)
        return Measurement(template, estimates(bank, found[cause], whitened), not_testable)

    def _parts(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents, reconstructions, parts of the score and depths, of the arguments of :meth:`outputs`."""
        few = (torch.split(values, _AT_ONCE) for values in (flux, ivar, redshift))
        latents = torch.cat([self.encode(*part) for part in zip(*few, strict=True)])
        reconstruction, depth = self.decode(latents, redshift), depth_of(ivar)
        raw = self.raw_parts(latents, reconstruction, flux, ivar, redshift, depth)
        return latents, reconstruction, raw, depth

    def judged(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> tuple[PartEvidence, Tensor]:
        """What the parts say of causes, and the scores (B,), of the arguments of :meth:`outputs`."""
        _, _, raw, depth = self._parts(flux, ivar, redshift)
        return self.joint.evidence(raw, depth, redshift), self.joint(raw, depth, redshift)

    def outputs(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> ModelOutputs:
        """Latents, scores and reconstructions of flux (B, N), ivar (B, N), redshift (B,)."""
        latents, reconstruction, raw, depth = self._parts(flux, ivar, redshift)
        score = self.joint(raw, depth, redshift).to(flux.dtype)
        return ModelOutputs(latents, score, reconstruction)


def _whitened(
    residual: Tensor, reconstruction: Tensor, redshift: Tensor, projection: Projection
) -> WhitenedResidual:
    """Of residuals and reconstructions (B, N) and redshifts (B,)."""
    weight, modes = projection.weight, projection.modes
    root = weight.sqrt()
    scaled = root * torch.where(weight > 0, residual, 0.0)
    explained = (modes @ (scaled[:, None] @ modes).mT)[..., 0]
    return WhitenedResidual(root * (scaled - explained), weight, modes, reconstruction, redshift)
