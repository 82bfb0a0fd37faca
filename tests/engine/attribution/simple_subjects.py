"""Subjects of models in closed form, to test methods of attribution against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.attribution.subject import Subject
from models.spectrum_model import LogProb

PIXELS = 64
MASKED = [7, 31, 32]


@dataclass
class FixedSpectra:
    """A decoder of given baselines, which draws ``drawn`` in any spectrum."""

    typical: torch.Tensor
    drawn: torch.Tensor

    @property
    def calibration_size(self) -> int:
        return len(self.typical)

    def baselines(self, chosen: NDArray[np.int64]) -> torch.Tensor:
        return self.typical[torch.from_numpy(chosen)]

    def reconstructions(self, spectra: torch.Tensor) -> torch.Tensor:
        return self.drawn.expand_as(spectra)


@dataclass
class SameAnew:
    """A model that holds nothing; pixels that it does not see it draws as the mean of those it sees."""

    given: LogProb
    usual: float

    def drawn_from(self, spectra: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        mean = (spectra * seen).sum(dim=1, keepdim=True) / seen.sum(dim=1, keepdim=True)
        return mean.expand_as(spectra)

    def log_prob(self, flux: torch.Tensor) -> LogProb:  # noqa: ARG002
        return self.given

    def usual_log_prob(self, tail_probability: float) -> float:  # noqa: ARG002
        return self.usual


def simple_subject(
    log_prob: LogProb, *, flux: torch.Tensor | None = None, usual: float = -1.0, pixels: int = PIXELS
) -> Subject:
    """A noisy spectrum, drawn as zero, with masked pixels, two baselines and errors between 0.7 and 1."""
    random = torch.Generator().manual_seed(5)
    ivar = 1 + torch.rand(pixels, generator=random, dtype=torch.float64)
    ivar[MASKED] = 0.0
    typical = 0.1 * torch.randn(2, pixels, generator=random, dtype=torch.float64)
    spectrum = torch.randn(pixels, generator=random) if flux is None else flux
    decoder = FixedSpectra(typical, torch.zeros(pixels, dtype=torch.float64))
    return Subject(spectrum, ivar, 0.1, log_prob, decoder, anew=SameAnew(log_prob, usual))
