"""What could be found at all: observers who know the spectrum, the noise and the shape of the anomaly.

The first knows its place too and looks there: with d' equal to the strength there is nothing better. The
second does not know where on the grid the shape lies, weighs all places alike, and takes the likelihood
ratio (the optimal statistic under that ignorance). Both know the clean spectrum exactly, which nobody does,
so no scorer that has to look everywhere should be expected to reach the second bound for anomalies that may
be anywhere. What is always at one of a few places, such as a step between arms, a scorer can know: there the
first bound is the one that counts.
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
    draws = -(-_LEAST_DRAWS // max(len(shapes), 1))
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
    without, with_it = np.concatenate(clean, axis=1), np.concatenate(odd, axis=1)
    return tuple(
        Bound(area_under_curve(high, low), recall_at(high, low, false_positives))
        for high, low in zip(with_it, without, strict=True)
    )


def _log_likelihood(exponent: Floats) -> Floats:
    """Log of the sum of exponentials over places, up to a constant; (draws, places) to (draws,)."""
    highest = exponent.max(axis=1)
    total: Floats = highest + np.log(np.exp(exponent - highest[:, None]).sum(axis=1))
    return total
