"""Repairing: a descent from an odd spectrum to a usual one, counted in sigma of the noise.

The steepest descent of the score, per sigma, spends least change on each nat. By itself it would change a
whole template of a cause or a whole cell of the scan, though only a part of it is odd. So each pixel's slope
is multiplied by how far it lies off what the model draws, on the side where a change towards that lowers the
score. The model draws anew after every step: what is odd then pulls its reconstruction no more.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.attribution.subject import Subject
from models.spectrum_model import LogProb

_LENGTHS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 13.0, 18.0, 26.0, 37.0, 52.0)
"""Lengths of a step that are tried, in sigma."""
_FINER = 16
"""Equal parts by which the whole change is made smaller, while the spectrum stays usual."""
_SPARSE = 0.3
"""Weights of pixels below this share of the largest are none, and all others are smaller by it."""
_ENOUGH = 0.8
"""Share of what the best length gains, for which a shorter one is taken."""
_UNDONE = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Shares of the largest change, below which changes are undone if the spectrum stays usual."""
_AVERAGED = 9
"""Pixels over which a deviation may also be averaged: lines are a few pixels wide."""


def repaired(subject: Subject, usual: float, rounds: int, steps: int) -> tuple[Tensor, LogProb]:
    """A spectrum (N,) float64 of at least the tail probability ``usual``, and the model that holds it.

    Still odd if in so many rounds of so many steps none was found.
    """
    spectrum, log_prob = subject.flux.double(), subject.log_prob
    wanted = subject.model_anew.usual_log_prob(usual)
    for left in reversed(range(rounds + 1)):
        if float(subject.log_probs(spectrum[None], log_prob)[0]) >= wanted:
            return _no_more_than_needed(subject, log_prob, spectrum, wanted), log_prob
        if left:
            spectrum = _descended(subject, log_prob, spectrum, wanted, steps)
            # What the model holds in a spectrum, such as the templates it follows, it holds in this one now.
            log_prob = subject.model_anew.log_prob(spectrum)
    return spectrum, log_prob


def _no_more_than_needed(subject: Subject, log_prob: LogProb, spectrum: Tensor, wanted: float) -> Tensor:
    """A usual spectrum with the change undone where it is small, then made smaller, while it stays usual."""
    flux = subject.flux.double()
    change = flux - spectrum
    size = change.abs() * subject.ivar.sqrt()
    least = spectrum.new_tensor(_UNDONE)[:, None] * size.max()
    candidates = torch.where(size >= least, change, 0.0)
    change = candidates[_last_usual(subject, log_prob, flux - candidates, wanted)]
    shares = torch.linspace(1, 0, _FINER + 1, dtype=change.dtype, device=change.device)
    candidates = shares[:, None] * change
    return flux - candidates[_last_usual(subject, log_prob, flux - candidates, wanted)]


def _last_usual(subject: Subject, log_prob: LogProb, spectra: Tensor, wanted: float) -> int:
    """The last before the first that is not usual, of which the first is taken to be usual."""
    odd = subject.log_probs(spectra, log_prob) < wanted
    odd[0] = False
    return max(_first(odd) - 1, 0) if bool(odd.any()) else len(odd) - 1


def _descended(subject: Subject, log_prob: LogProb, spectrum: Tensor, wanted: float, steps: int) -> Tensor:
    """After so many steps, or as soon as its log probability is as high as is wanted."""
    lengths = spectrum.new_tensor((0.0, *_LENGTHS))[:, None]
    for _ in range(steps):
        tried = spectrum - lengths * _direction(subject, log_prob, spectrum)
        log_probs = subject.log_probs(tried, log_prob)
        usual, gain = log_probs >= wanted, log_probs - log_probs[0]
        if bool(usual.any()):
            return tried[_first(usual)]
        if not bool(gain.max() > 0):
            break
        spectrum = tried[_first(gain >= _ENOUGH * gain.max())]
    return spectrum


def _first(found: Tensor) -> int:
    """Place of the first True."""
    return int(found.to(torch.uint8).argmax())


def _direction(subject: Subject, log_prob: LogProb, spectrum: Tensor) -> Tensor:
    """(N,), of length one sigma in all; 0 where no change towards the reconstruction lowers the score."""
    slope = subject.gradient(spectrum[None], log_prob)[0] * subject.sigma
    with torch.no_grad():
        residual = spectrum - subject.decoder.reconstructions(spectrum[None])[0]
    deviation = torch.where(subject.good, residual, 0.0) * subject.ivar.sqrt()
    weight = slope.abs() * _beyond(deviation * slope.sign(), subject.good)
    weight = (weight - _SPARSE * weight.max()).clamp_min(0)
    step: Tensor = slope.sign() * weight / weight.norm().clamp_min(1e-300) * subject.sigma
    return step


def _beyond(deviation: Tensor, good: Tensor) -> Tensor:
    """Deviations (N,) in sigma above zero: of the pixel, or of its neighbourhood's mean if that is larger."""
    ones = deviation.new_ones(1, 1, _AVERAGED)
    both = torch.stack((deviation, good.double()))[:, None]
    sums, count = torch.nn.functional.conv1d(both, ones, padding=_AVERAGED // 2)[:, 0]
    return torch.maximum(deviation, sums / count.clamp_min(1).sqrt()).clamp_min(0)
