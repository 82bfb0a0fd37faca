"""A better redshift: one at which a spectrum is usual that is odd at its own.

Candidates come from the cross-correlation of Tonry & Davis (1979, AJ 84, 1511), weighted by inverse variance:
what the decoder draws sharply of usual spectra is matched to what is sharp in the spectrum, at every shift of
a logarithmic grid. The best candidates are scored as if each were the redshift. Where the score falls, so
much of the mean inverse tail was due to the redshift. Matches that are better count against it, and so does
a tail probability that is small there too.

The same search tells whether a spectrum is usual to a model at any redshift at all, whatever its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from models.causes.estimate import BetterRedshift, UsualRedshift
from models.model_card import MIN_WINDOW_PIXELS, ModelCard
from models.scoring.noise_floor import CALIBRATION
from models.sharp import SMOOTH, sharp
from models.signal_to_noise import signal_to_noise

if TYPE_CHECKING:
    from models.scoring.scoring_model import ScoringModel

_TEMPLATES = 32
"""Usual spectra whose sharp parts are matched."""
_CANDIDATES = 4
_APART = 8
"""Steps of the rest-frame grid, 69 km/s each, by which candidates differ at least."""
_OWN = 2
"""Steps from the spectrum's own redshift within which another is none."""
USUAL = 0.001
"""Tail probability from which on a spectrum is usual at a redshift."""


@torch.no_grad()
def better_redshift(
    model: ScoringModel, flux: Tensor, ivar: Tensor, redshift: float
) -> BetterRedshift | None:
    """Of a normalised spectrum, flux and ivar (N,); None where no other redshift can be scored."""
    tried = _scored(model, _shown(model.card, flux, ivar, _candidates(model, flux, ivar, redshift)))
    if not tried:
        return None
    where = torch.tensor([redshift], dtype=torch.float64, device=flux.device)
    own = float(model.outputs(flux[None], ivar[None], where).score)
    # The first match is the only one that was not chosen among others.
    gains = [own - each.score - math.log(each.rank) for each in tried]
    best = int(np.argmax(gains))
    found, gain = tried[best], max(gains[best], 0.0)
    usual = min(found.tail_probability / USUAL, 1.0)
    return BetterRedshift(found.redshift, _error(model, found.redshift), -math.expm1(-gain) * usual)


@torch.no_grad()
def usual_redshift(
    model: ScoringModel, flux: Tensor, ivar: Tensor, most_misfit: float
) -> UsualRedshift | None:
    """Of flux and ivar (N,) in any unit, among redshifts at which :func:`misfit` is below ``most_misfit``.

    None where the spectrum can be scored at no such redshift.
    """
    shown = _shown(model.card, flux, ivar, _candidates(model, flux, ivar, None))
    tried = _scored(model, _well_drawn(model, shown, most_misfit))
    if not tried:
        return None
    found = max(tried, key=lambda each: each.tail_probability / each.rank)
    return UsualRedshift(found.redshift, _error(model, found.redshift), found.tail_probability, found.rank)


def misfit(flux: Tensor, ivar: Tensor, reconstruction: Tensor) -> Tensor:
    """Chi-square of reconstructions (B, N), with an error of calibration besides the noise, (B,).

    It is the same whatever a spectrum is divided by.
    """
    weight = ivar / (1 + ivar * (CALIBRATION * flux).square())
    total: Tensor = (weight * (flux - reconstruction).square()).sum(dim=-1)
    return total


@dataclass(frozen=True, eq=False, slots=True)
class _Shown:
    """A spectrum, flux (N,) and ivar (N,), as a model is shown it at a redshift.

    ``rank`` is the redshift's place among all that are tried, from 1.
    """

    rank: int
    redshift: float
    flux: Tensor
    ivar: Tensor


@dataclass(frozen=True, slots=True)
class _Tried:
    """A redshift of a rank with the score there, infinite where there is none, and its tail probability."""

    rank: int
    redshift: float
    score: float
    tail_probability: float


def _shown(card: ModelCard, flux: Tensor, ivar: Tensor, redshifts: list[float]) -> list[_Shown]:
    """The spectrum at each redshift at which it can be normalised."""
    normalised = [(z, _normalised(flux, ivar, card, z)) for z in redshifts]
    able = [(z, *found) for z, found in normalised if found is not None]
    return [_Shown(rank, *each) for rank, each in enumerate(able, start=1)]


def _stacked(shown: list[_Shown]) -> tuple[Tensor, Tensor, Tensor]:
    """Flux (B, N), ivar (B, N) and redshift (B,) of what is shown."""
    flux = torch.stack([each.flux for each in shown])
    ivar = torch.stack([each.ivar for each in shown])
    return flux, ivar, flux.new_tensor([each.redshift for each in shown], dtype=torch.float64)


def _well_drawn(model: ScoringModel, shown: list[_Shown], most_misfit: float) -> list[_Shown]:
    """What the model draws with a misfit below ``most_misfit``. A reconstruction costs a tenth of a score."""
    if not shown:
        return []
    flux, ivar, redshift = _stacked(shown)
    found = misfit(flux, ivar, model.reconstructed(flux, ivar, redshift)).tolist()
    return [each for each, own in zip(shown, found, strict=True) if own < most_misfit]


def _scored(model: ScoringModel, shown: list[_Shown]) -> list[_Tried]:
    """What is shown, scored in one batch."""
    if not shown:
        return []
    flux, ivar, redshift = _stacked(shown)
    score = model.outputs(flux, ivar, redshift).score.double()
    scores = score.where(score.isfinite(), math.inf).cpu().numpy()
    tails = model.tail_probability(scores, signal_to_noise(flux, ivar), redshift.cpu().numpy())
    return [
        _Tried(each.rank, each.redshift, float(score), float(tail) if math.isfinite(tail) else 0.0)
        for each, score, tail in zip(shown, scores, tails, strict=True)
    ]


def _error(model: ScoringModel, redshift: float) -> float:
    """Standard deviation of an even spread over one step of the search."""
    return model.card.rest_step * math.log(10.0) * (1 + redshift) / math.sqrt(12.0)


def _candidates(model: ScoringModel, flux: Tensor, ivar: Tensor, redshift: float | None) -> list[float]:
    """Redshifts, the best match first.

    Of a spectrum with a redshift other ones; none where its own is the best match of all.
    """
    card = model.card
    shifts = torch.arange(
        math.floor(math.log10(1 + card.redshift_min) / card.rest_step),
        math.ceil(math.log10(1 + card.redshift_max) / card.rest_step) + 1,
        device=flux.device,
    )
    match = _matches(model, flux, ivar, shifts)
    if redshift is not None:
        own = round(math.log10(1 + redshift) / card.rest_step)
        near = (shifts - own).abs() <= _OWN
        if bool(near.any()) and bool(match[near].max() >= match.max()):
            return []
        match[near] = 0.0
    found: list[float] = []
    for _ in range(_CANDIDATES):
        best = int(match.argmax())
        if not match[best] > 0:
            break
        z = 10 ** (card.rest_step * int(shifts[best])) - 1
        if card.redshift_min <= z <= card.redshift_max:
            found.append(z)
        match[max(best - _APART, 0) : best + _APART + 1] = 0.0
    return found


def _matches(model: ScoringModel, flux: Tensor, ivar: Tensor, shifts: Tensor) -> Tensor:
    """Largest decrease of chi-square by one template of positive amplitude, for every shift (S,), (S,)."""
    decoder, latents = model.decoder, model.calibration_latents
    if not len(latents):
        return torch.zeros(len(shifts), dtype=torch.float64, device=flux.device)
    chosen = torch.linspace(0, len(latents) - 1, min(_TEMPLATES, len(latents))).long()
    count = model.encoder.settings.latents
    templates = sharp(decoder.rest(latents[chosen.to(latents.device), :count].to(flux.dtype))).double()
    # On the logarithmic grid of the rest frame, continued to the observed wavelengths.
    place = decoder.place(torch.zeros(1, dtype=torch.float64, device=flux.device))[0]
    size = int(place[-1]) + 2
    known = torch.where(ivar > 0, flux, 0.0)
    detail = torch.where(ivar > 0, flux - _smooth(known, ivar), 0.0)
    weight = ivar / (1 + ivar * (CALIBRATION * flux).square())
    first = int(shifts[0])
    low = max(-first, 0)
    binned = torch.zeros(2, size + low, dtype=torch.float64, device=flux.device)
    bins = place.round().long().clamp(0, size - 1) + low
    binned[0].index_add_(0, bins, (weight * detail).double())
    binned[1].index_add_(0, bins, weight.double())
    # A power of two, of which transforms are fast.
    length = 1 << (size + low + templates.shape[1] - 1).bit_length()
    of_template = torch.fft.rfft(templates, length).conj()
    of_square = torch.fft.rfft(templates.square(), length).conj()
    spectrum = torch.fft.rfft(binned, length)
    along = torch.fft.irfft(spectrum[0] * of_template, length)
    full = torch.fft.irfft(spectrum[1] * of_square, length)
    at = (shifts + low) % length
    along, full = along[:, at].clamp_min(0), full[:, at]
    usable = full > 1e-3 * full.amax(dim=1, keepdim=True)
    decrease = torch.where(usable, along.square() / full.clamp_min(1e-30), 0.0)
    best: Tensor = decrease.amax(dim=0)
    return best


def _smooth(flux: Tensor, ivar: Tensor) -> Tensor:
    """Mean over good pixels around each, (N,)."""
    both = torch.stack((flux, (ivar > 0).to(flux.dtype)))[:, None]
    padded = nn.functional.pad(both, (SMOOTH // 2, SMOOTH // 2))
    total, good = nn.functional.avg_pool1d(padded, SMOOTH, 1)[:, 0]
    mean: Tensor = total / good.clamp_min(1.0 / SMOOTH)
    return mean


def _normalised(flux: Tensor, ivar: Tensor, card: ModelCard, redshift: float) -> tuple[Tensor, Tensor] | None:
    """The spectrum as a reader would normalise it at another redshift; None where that cannot be."""
    wavelength = torch.from_numpy(card.grid.wavelength()).to(flux.device)
    rest = wavelength / (1 + redshift)
    inside = (rest >= card.normalisation_min) & (rest <= card.normalisation_max) & (ivar > 0)
    if int(inside.sum()) < MIN_WINDOW_PIXELS:
        return None
    median = flux[inside].quantile(0.5)
    if not median > 0:
        return None
    return flux / median, ivar * median.square()
