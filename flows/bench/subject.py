"""Subjects of the occlusion benchmark: made-up spectra like noisy galaxies of the survey."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.baselines import drawn_calibration
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.settings import PresetName, of_preset
from engine.attribution.occlusion.windows import Scale, scales_of
from models.local.local_score import LocalScore
from models.scoring.scoring_model import ScoringModel

_REDSHIFT = 0.2
_IVAR = 25.0
_MASKED_RUN = 12
_BUMP = 2.0


@dataclass(frozen=True, eq=False)
class Subject:
    """One spectrum with its mask, as the explainer takes it.

    Attributes
    ----------
    spectrum, ivar : (N,) float32, flux over its median and the inverse variance of that; ``ivar``
        is 0 at masked pixels.
    good : (N,) bool.
    redshift : of the spectrum.
    """

    spectrum: Tensor
    ivar: Tensor
    good: Tensor
    redshift: float


class Subjects:
    """A scoring model on a device, and spectra for it.

    Parameters
    ----------
    model : in float32; moved to the device.
    masked : share of pixels that are masked, in runs of about a dozen, 0 to 1.
    """

    def __init__(self, model: ScoringModel, device: torch.device, masked: float) -> None:
        self.model = model.to(device)
        self._double = copy.deepcopy(self.model).double()
        self.device, self.masked = device, masked
        card = model.card
        self.pixels = card.grid.size
        self._redshift = min(max(_REDSHIFT, card.redshift_min), card.redshift_max)

    def subject(self, seed: int) -> Subject:
        """A calibration spectrum's reconstruction with noise of S/N 5 per pixel and one odd bump."""
        chosen = np.array([(700 + seed) % self.model.calibration_size])
        clean = self.model.baselines(self._redshift, chosen)[0].cpu()
        generator = torch.Generator().manual_seed(seed)
        ivar = _IVAR * (0.5 + torch.rand(self.pixels, generator=generator))
        spectrum = clean + torch.randn(self.pixels, generator=generator) / ivar.sqrt()
        middle = self.pixels * 3 // 8
        spectrum[middle : middle + 10] += _BUMP
        runs = -(-self.pixels // _MASKED_RUN)
        masked = torch.rand(runs, generator=generator) < self.masked
        good = ~masked.repeat_interleave(_MASKED_RUN)[: self.pixels]
        spectrum, ivar, good = (part.to(self.device) for part in (spectrum, ivar * good, good))
        return Subject(spectrum, ivar, good, self._redshift)

    def request(self, subject: Subject, baselines: int) -> OcclusionRequest:
        """The subject and the baselines that the default seed draws."""
        chosen = drawn_calibration(self.model.calibration_size, baselines, seed=0)
        return OcclusionRequest(
            subject.spectrum, self.model.baselines(subject.redshift, chosen), subject.good
        )

    def log_prob(self, subject: Subject) -> LocalScore:
        """The model in float32 at the subject's inverse variance and redshift."""
        return self.model.conditioned(subject.spectrum, subject.ivar, subject.redshift)

    def exact_log_prob(self, subject: Subject) -> LocalScore:
        """The same in float64."""
        return self._double.conditioned(subject.spectrum.double(), subject.ivar.double(), subject.redshift)

    def scales(self, subject: Subject, preset: PresetName, windows: tuple[int, ...]) -> list[Scale]:
        """The windows as an explanation has them: masked pixels make them fewer."""
        good = subject.good.cpu().numpy()
        return [scale.pasting(good) for scale in scales_of(of_preset(preset, windows=windows), self.pixels)]


def sampled(scales: list[Scale], count: int, seed: int = 0) -> list[Scale]:
    """About ``count`` of the windows of all scales, each scale by its share, at least one of each.

    The first and the last window of a scale are always among two or more. Which window speaks for
    which pixel is lost.
    """
    total = sum(len(scale) for scale in scales)
    generator = np.random.default_rng(seed)
    samples = []
    for scale in scales:
        wanted = min(max(round(count * len(scale) / max(total, 1)), 1), len(scale))
        chosen = generator.permutation(len(scale))[:wanted]
        if wanted >= 2:
            inner = generator.permutation(np.arange(1, len(scale) - 1))[: wanted - 2]
            chosen = np.concatenate(([0], inner, [len(scale) - 1]))
        samples.append(chosen_windows(scale, np.sort(chosen)))
    return samples


def chosen_windows(scale: Scale, chosen: NDArray[np.int64]) -> Scale:
    """Some of a scale's windows."""
    nowhere = np.full(len(scale.of_pixel), -1, dtype=np.int64)
    return replace(scale, start=scale.start[chosen], stop=scale.stop[chosen], of_pixel=nowhere)
