"""Ideal observers: the most that could be found at all. Three know the clean spectrum and its noise.

The first knows shape and place of the anomaly and looks there: with d' equal to the strength there is nothing
better. The second knows the shape, but not where on the grid it lies, weighs all places alike, and takes the
likelihood ratio (the optimal statistic under that ignorance). No scorer that has to look everywhere should
be expected to reach the second bound for anomalies that may be anywhere. What is always at one of a few
places, such as a step between arms, a scorer can know: there the first bound is the one that counts.

The third knows neither: it takes the likelihood ratio for an interval of flux of any width, place and sign,
twice as wide from scale to scale. That is no bound, since shapes of several parts can be known to be such:
it is what can be expected of a search for whatever may be there.

The fourth does not know the clean spectrum, which nobody does, but how usual spectra differ, and the shape: a
matched filter with their covariance, tried at all places. To it a change that looks like usual variation is
hidden. The distance to it is what a score can still gain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtr, ndtri

from engine.evaluation.rates import area_under_curve, recall_at

Floats = NDArray[np.floating]

_LEAST_DRAWS = 1000
"""Draws of the noise, at least, for a bound: its own error is then below 0.01."""


@dataclass(frozen=True)
class Bound:
    """The best that an observer can do.

    Attributes
    ----------
    auc : chance that a spectrum with the anomaly looks odder than one without.
    recall : share found when at most the allowed share of clean spectra is taken for odd.
    """

    auc: float
    recall: float


def known_place(strength: float, false_positives: float) -> Bound:
    """Of an observer who knows shape and place of an anomaly of ``strength`` sigma."""
    return Bound(float(ndtr(strength / np.sqrt(2))), float(ndtr(strength + ndtri(false_positives))))


def unknown_place(
    shapes: Floats,
    strengths: tuple[float, ...],
    false_positives: float,
    random: np.random.Generator,
) -> tuple[Bound, ...]:
    """Of an observer who knows the shape alone, for each strength; by simulation.

    Parameters
    ----------
    shapes : (n, N), changes of the flux in units of the noise; each is scaled to a norm of 1. Their places
        run around the grid as on a circle, which is up to a hundredth longer than the grid.
    strengths : in sigma.
    random : of the noise.
    """
    draws = _draws(shapes)
    size = next_fast_len(shapes.shape[1], real=True)
    clean: list[Floats] = []
    odd: list[Floats] = []
    for shape in shapes:
        spectrum = rfft((shape / np.linalg.norm(shape)).astype(np.float32), size)
        signal = irfft(np.abs(spectrum) ** 2, size)
        noise = rfft(random.standard_normal((2, draws, size), dtype=np.float32))
        matched = irfft(noise * np.conj(spectrum), size)
        clean.append(np.array([_log_likelihood(strength * matched[0]) for strength in strengths]))
        odd.append(
            np.array([_log_likelihood(strength * (matched[1] + strength * signal)) for strength in strengths])
        )
    return _bounds(odd, clean, false_positives)


def unknown_shape(
    shapes: Floats,
    ivar: Floats,
    strengths: tuple[float, ...],
    false_positives: float,
    random: np.random.Generator,
) -> tuple[Bound, ...]:
    """Of one who looks for an interval of constant flux of unknown width, place and sign; by simulation.

    Parameters
    ----------
    shapes : (n, N), changes of the flux in units of the noise; each is scaled to a norm of 1.
    ivar : (n, N), inverse variances of the spectra that they are changes of; 0 where masked.
    strengths : in sigma; random : of the noise.
    """
    draws, intervals = _draws(shapes), _Intervals.of(shapes.shape[1])
    # What is expected of strengths that are normal, of each of these widths.
    shares = [0.5 * strength**2 / (1 + strength**2) for strength in strengths]
    prior = intervals.log_prior
    clean: list[Floats] = []
    odd: list[Floats] = []
    for shape, weight in zip(shapes, ivar, strict=True):
        root = np.sqrt(weight, dtype=np.float64)
        noise = random.standard_normal((2, draws, len(root)))
        without, with_it = intervals.significance(noise * root, weight)
        signal = intervals.significance(shape / np.linalg.norm(shape) * root, weight)
        clean.append(np.array([_log_likelihood(prior + share * without**2) for share in shares]))
        odd.append(
            np.array(
                [
                    _log_likelihood(prior + share * (with_it + strength * signal) ** 2)
                    for share, strength in zip(shares, strengths, strict=True)
                ]
            )
        )
    return _bounds(odd, clean, false_positives)


def known_covariance(
    effective: Floats,
    templates: int,
    strengths: tuple[float, ...],
    false_positives: float,
    random: np.random.Generator,
) -> tuple[Bound, ...]:
    """Of one who knows the population's covariance and the shape, and tries templates; by simulation.

    Parameters
    ----------
    effective : (n,) effective strengths of anomalies whose strength is 1. The right template has a normal
        deviate about the effective strength.
    templates : how many independent ones are tried; the highest counts.
    strengths : in sigma; random : of the deviates.
    """
    draws = _draws(effective)
    mean = np.repeat(effective, draws)
    clean = _highest_of(templates, len(mean), random)
    others = _highest_of(templates - 1, len(mean), random)
    right = random.standard_normal(len(mean))
    found = [np.maximum(others, right + strength * mean) for strength in strengths]
    return tuple(
        Bound(area_under_curve(each, clean), recall_at(each, clean, false_positives)) for each in found
    )


def _highest_of(count: int, draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The highest of so many independent normal deviates, (draws,); minus infinity of none."""
    if not count:
        return np.full(draws, -np.inf)
    return np.asarray(-ndtri(-np.expm1(np.log(random.random(draws)) / count)))


@dataclass(frozen=True)
class _Intervals:
    """Intervals of pixels, half as far apart as they are wide.

    Attributes
    ----------
    start, stop : (S,) first pixel, and the one after the last.
    log_prior : (S,), up to a constant: all scales are as likely, and all places of a scale.
    """

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    log_prior: NDArray[np.float64]

    @classmethod
    def of(cls, pixels: int) -> _Intervals:
        widths = [2**power for power in range(pixels.bit_length())]
        starts = [np.arange(0, pixels - width + 1, max(width // 2, 1)) for width in widths]
        return cls(
            np.concatenate(starts),
            np.concatenate([start + width for start, width in zip(starts, widths, strict=True)]),
            np.concatenate([np.full(len(start), -np.log(len(start))) for start in starts]),
        )

    def significance(self, weighted: Floats, ivar: Floats) -> Floats:
        """Of flux times ``ivar``, (…, N) to (…, S); 0 where no pixel is good."""
        total = np.insert(weighted.cumsum(axis=-1), 0, 0.0, axis=-1)
        known = np.insert(ivar.cumsum(dtype=np.float64), 0, 0.0)
        information = np.maximum(known[self.stop] - known[self.start], 1e-300)
        found: Floats = (total[..., self.stop] - total[..., self.start]) / np.sqrt(information)
        return np.where(information > 1e-30, found, 0.0)


def _draws(shapes: Floats) -> int:
    """Draws of the noise for each of the shapes."""
    return -(-_LEAST_DRAWS // max(len(shapes), 1))


def _bounds(odd: list[Floats], clean: list[Floats], false_positives: float) -> tuple[Bound, ...]:
    """For each strength, of statistics with and without the anomaly: (strengths, draws) for every shape."""
    return tuple(
        Bound(area_under_curve(high, low), recall_at(high, low, false_positives))
        for high, low in zip(np.concatenate(odd, axis=1), np.concatenate(clean, axis=1), strict=True)
    )


def _log_likelihood(exponent: Floats) -> Floats:
    """Log of the sum of exponentials over places, up to a constant; (draws, places) to (draws,)."""
    highest = exponent.max(axis=1)
    total: Floats = highest + np.log(np.exp(exponent - highest[:, None]).sum(axis=1))
    return total
