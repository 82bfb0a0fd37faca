"""Request and occluder: what is pasted into what, and how effects are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from engine.attribution.occlusion.windows import Scale
from models.errors import ErrorKind, InputError, QuarantineError


@dataclass(frozen=True, eq=False)
class OcclusionRequest:
    """One spectrum, and the typical spectra into which its pieces are pasted.

    All three tensors live on one device, which is where the work is done.

    Attributes
    ----------
    spectrum : (N,) floating, as the model is given it: normalised, masked pixels filled.
    baselines : (M, N), same type: typical spectra at the redshift of the spectrum.
    good : (N,) bool, False where the spectrum is masked; such pixels are never pasted.

    Raises
    ------
    InputError : shapes, types or devices do not fit together.
    QuarantineError : the spectrum (at good pixels) or a baseline is not finite.
    """

    spectrum: torch.Tensor
    baselines: torch.Tensor
    good: torch.Tensor

    def __post_init__(self) -> None:
        pixels = self.spectrum.shape[-1] if self.spectrum.ndim else 0
        fits = (
            self.spectrum.ndim == 1
            and pixels > 0
            and self.baselines.ndim == 2
            and self.baselines.shape[0] > 0
            and self.baselines.shape[1] == pixels
            and self.good.shape == self.spectrum.shape
            and self.spectrum.is_floating_point()
            and self.baselines.dtype == self.spectrum.dtype
            and self.good.dtype == torch.bool
            and self.spectrum.device == self.baselines.device == self.good.device
        )
        if not fits:
            raise InputError(
                "The spectrum, its baselines and its mask do not fit together.",
                where="occlusion request",
                got="; ".join(
                    f"{name} {tuple(value.shape)} {value.dtype} on {value.device}"
                    for name, value in (
                        ("spectrum", self.spectrum),
                        ("baselines", self.baselines),
                        ("good", self.good),
                    )
                ),
                allowed="spectrum (N,) floating, baselines (M, N) of the same type with M >= 1, "
                "good (N,) bool, all on one device",
                remedy="Pass one spectrum and its baselines on the model's grid.",
                kind=ErrorKind.OCCLUSION_REQUEST,
            )
        bad_pixels = int((~torch.isfinite(self.spectrum) & self.good).sum())
        bad_baselines = int((~torch.isfinite(self.baselines)).any(dim=1).sum())
        if bad_pixels or bad_baselines:
            raise QuarantineError(
                "A spectrum cannot be explained: it or its baselines are not finite.",
                where="occlusion request",
                got=f"{bad_pixels} good pixels, {bad_baselines}/{len(self.baselines)} baselines",
                allowed="finite values",
                remedy="Mask such pixels when the spectrum is read; check the decoder at this redshift.",
                kind=ErrorKind.NON_FINITE_SPECTRUM,
            )

    @property
    def pixels(self) -> int:
        """Number of pixels N."""
        return self.spectrum.shape[0]


class Occluder(Protocol):
    """Computes the effect of pasting windows; how it does so is its own affair."""

    def differences(self, request: OcclusionRequest, scales: Sequence[Scale]) -> list[torch.Tensor]:
        """Per scale, (M, number of windows): score of b_m with the window pasted in, less that of b_m.

        Only the good pixels of a window are pasted. Positive: this piece makes it odder.
        """
        ...
