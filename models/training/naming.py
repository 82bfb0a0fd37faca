"""The fit of the naming of causes, to usual spectra into which templates were injected.

Every cause's own templates make its examples, so that no survey needs spectra that somebody labelled. What no
template describes has an example too: bumps and dips of any place, width and number, and spectra that nothing
was injected into, the oddest of them.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.causes.names import TEMPLATE_CAUSES
from models.scoring.naming import PartEvidence
from models.scoring.scoring_model import ScoringModel
from models.signal_to_noise import signal_to_noise
from models.training.spectra import Batch, SpectraSource, batch_of, chunks

_STRENGTHS = (6.0, 60.0)
"""Sigma of an injected template, between which its logarithm is uniform."""
_ODD = 0.01
"""Tail probability up to which a spectrum is named."""
_CHANCE = 0.05
"""Tail probability up to which a spectrum without injection is an example of chance: about as many as of a
cause."""
_LEAST = 200
"""Odd spectra without which the naming stays as it is."""
_MOST_BUMPS = 3
_WIDTHS = (2.0, 200.0)
"""Sigma of a bump, pixels, between which its logarithm is uniform."""


@torch.no_grad()
def fit_naming(model: ScoringModel, spectra: SpectraSource, seed: int) -> None:
    """Inject one cause into each of the spectra, and fit the naming to those that become odd."""
    generator = np.random.default_rng(seed)
    depths, ratios, truths = [], [], []

    def learn(spectra: Batch, truth: NDArray[np.int64], tail: float) -> None:
        flux, ivar, redshift = spectra
        evidence, score = model.judged(flux, ivar, redshift)
        found = model.tail_probability(score.numpy(), signal_to_noise(flux, ivar), redshift.numpy())
        odd = torch.from_numpy(found <= tail) & flux.isfinite().all(dim=1)
        depths.append(evidence.depth[odd])
        ratios.append(evidence.ratio[odd])
        truths.append(torch.from_numpy(truth)[odd])

    for index in chunks(len(spectra), 64):
        flux, ivar, redshift = batch_of(spectra, index)
        learn((flux, ivar, redshift), np.full(len(index), len(TEMPLATE_CAUSES)), _CHANCE)
        truth = generator.integers(len(TEMPLATE_CAUSES) + 1, size=len(index))
        for row, cause in enumerate(truth.tolist()):
            flux[row] += _change(model, flux[row], ivar[row], float(redshift[row]), cause, generator)
        learn((flux, ivar, redshift), truth, _ODD)
    causes = torch.cat(truths)
    if len(causes) >= _LEAST:
        model.joint.naming.fit(PartEvidence(torch.cat(depths), torch.cat(ratios)), causes)


def _change(
    model: ScoringModel,
    flux: Tensor,
    ivar: Tensor,
    redshift: float,
    cause: int,
    generator: np.random.Generator,
) -> Tensor:
    """An injection of the cause, (N,); none where the spectrum cannot show it."""
    strength = math.exp(generator.uniform(*np.log(_STRENGTHS)))
    sign = float(generator.choice((-1.0, 1.0)))
    if cause == len(TEMPLATE_CAUSES):
        shape = _bumps(len(flux), generator)
        norm = float((shape.square() @ ivar).sqrt())
        return sign * strength / norm * shape if norm > 0 else torch.zeros_like(flux)
    whitened, bank = model.whitened(flux, ivar, redshift), model.bank(TEMPLATE_CAUSES[cause])
    found = bank.search(whitened)
    usable = torch.nonzero(found.usable)[:, 0]
    if not len(usable):
        return torch.zeros_like(flux)
    chosen = usable[int(generator.integers(len(usable)))]
    if bank.sign:
        sign = float(bank.sign)
    return sign * strength / found.norm[chosen] * bank.rows(chosen[None], whitened)[0]


def _bumps(pixels: int, generator: np.random.Generator) -> Tensor:
    """One to three Gaussians of any place and width, some of them dips, (N,)."""
    place = torch.arange(pixels, dtype=torch.float32)
    shape = torch.zeros(pixels)
    for _ in range(int(generator.integers(1, _MOST_BUMPS + 1))):
        width = math.exp(generator.uniform(*np.log(_WIDTHS)))
        height = float(generator.uniform(0.3, 1.0) * generator.choice((-1.0, 1.0)))
        centre = float(generator.uniform(0, pixels))
        shape += height * width**-0.5 * torch.exp(-0.5 * ((place - centre) / width).square())
    return shape
