"""Reconstruction scores as functions of flux alone, which a method may explain instead of a model's score."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.errors import BugError, ErrorKind
from models.reconstruction_scores import ReconstructedSpectra, ReconstructionScore
from models.spectrum_model import SpectrumModel


class ExplainableReconstructionScore(nn.Module):
    """How badly a model reconstructs spectra that share one ivar and one redshift: (B, N) to (B,).

    Deterministic, and differentiable with respect to flux wherever the model is. The higher the odder;
    occlusion asks for log probabilities and takes ``lambda flux: -score(flux)``.

    Every spectrum is reconstructed anew, so a pixel counts for what it does to the whole
    reconstruction. With a ``frozen`` reconstruction it counts for its own residual only, and
    :meth:`residual_map` is the score's exact decomposition: for the ``..._100`` scores of the ``ivar``
    form, changing one pixel changes the score by the change of that pixel's value and nothing else.
    (Trimming couples pixels even then: one that leaves the worst 3 % puts another among them.)

    Parameters
    ----------
    model : the scoring model; left as it is, in evaluation mode for any use in earnest.
    name : one of :data:`models.score_kinds.RECONSTRUCTION_SCORES`.
    ivar : (N,) of the normalised flux, 0 where masked.
    redshift : of the spectrum.
    frozen : (N,) reconstruction to compare all spectra with; None to reconstruct each.

    Raises
    ------
    BugError : ``ivar`` or ``frozen`` is not on the model's grid.
    """

    ivar: Tensor
    redshift: Tensor
    wavelength: Tensor
    frozen: Tensor | None

    def __init__(
        self,
        model: SpectrumModel,
        name: str,
        ivar: Tensor,
        redshift: float,
        frozen: Tensor | None = None,
    ) -> None:
        super().__init__()
        pixels = model.card.grid.size
        for given in (ivar, frozen):
            if given is not None and given.shape != (pixels,):
                raise BugError(
                    "A spectrum is not on the model's grid.",
                    where="reconstruction score to be explained",
                    got=tuple(given.shape),
                    allowed=(pixels,),
                    remedy="Pass one ivar, and one frozen reconstruction if any, on the model's grid.",
                    kind=ErrorKind.EXPLAINED_SCORE_SHAPE,
                )
        self.model = model
        self.score = ReconstructionScore(name)
        wavelength = torch.from_numpy(model.card.grid.wavelength())
        self.register_buffer("ivar", ivar.clone())
        self.register_buffer("redshift", torch.tensor([redshift], dtype=torch.float64, device=ivar.device))
        self.register_buffer("wavelength", wavelength.to(ivar.device))
        self.register_buffer("frozen", None if frozen is None else frozen.clone())

    def forward(self, flux: Tensor) -> Tensor:
        """Scores (B,) float64 of flux (B, N)."""
        scores: Tensor = self.score(self._reconstructed(flux))
        return scores

    def residual_map(self, flux: Tensor) -> Tensor:
        """What each pixel's residual adds, (B, N) to (B, N) float64; 0 at pixels the score leaves out.

        A row's sum is the score in the ``ivar`` form, its square in the ``published`` form.
        """
        return self.score.contributions(self._reconstructed(flux))

    def reconstruction(self, flux: Tensor) -> Tensor:
        """What the spectra (B, N) are compared with, (B, N)."""
        if self.frozen is not None:
            return self.frozen.to(flux.dtype).expand_as(flux)
        ivar = self.ivar.to(flux.dtype).expand_as(flux)
        return self.model.outputs(flux, ivar, self.redshift.expand(len(flux))).reconstruction

    def _reconstructed(self, flux: Tensor) -> ReconstructedSpectra:
        ivar = self.ivar.to(flux.dtype).expand_as(flux)
        redshift = self.redshift.expand(len(flux))
        return ReconstructedSpectra(
            flux, ivar, ivar > 0, self.reconstruction(flux), redshift, self.wavelength
        )
