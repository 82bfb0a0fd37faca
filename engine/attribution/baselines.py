"""Baselines: which calibration spectra stand for what is typical.

Baselines drawn at random differ from a spectrum in all that makes galaxies differ, and pasting any of that
changes the score. Against its like, a spectrum differs in what is odd, and in noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigurationError, ErrorKind

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

BaselineSource = Literal["nearest", "random"]
"""Calibration spectra most like the spectrum, or drawn at random."""

MOST_BEYOND = 10.0
"""Sigma up to which a pixel counts where the spectrum has more flux than a baseline: what is odd does not
choose."""
MOST_LACKING = 1000.0**0.5
"""The same where the spectrum has less: a baseline should have no line that it lacks."""
_AT_ONCE = 512


def typical_spectra(subject: Subject, source: BaselineSource, count: int, seed: int) -> Tensor:
    """So many baselines (M, N) at the subject's redshift; ``seed`` draws them at ``random``.

    Raises
    ------
    ConfigurationError : the model has fewer calibration spectra.
    """
    if source == "nearest":
        return subject.decoder.baselines(nearest_calibration(subject, count))
    chosen = drawn_calibration(subject.decoder.calibration_size, count, seed)
    return subject.decoder.baselines(chosen)


def drawn_calibration(available: int, count: int, seed: int) -> NDArray[np.int64]:
    """Which of ``available`` calibration spectra are the baselines, (count,).

    Without replacement, from ``seed`` alone, the same in every version of NumPy: only the bit generator is
    used, whose stream NumPy keeps fixed.

    Raises
    ------
    ConfigurationError : fewer spectra are available than baselines are wanted.
    """
    if available < count:
        raise ConfigurationError(
            "There are fewer calibration spectra than baselines to draw.",
            where="settings of the attribution, baselines",
            got=f"{available} spectra for {count} baselines",
            allowed=f"baselines from 1 to {available}",
            remedy="Ask for fewer baselines or use a model card with a larger calibration set.",
            kind=ErrorKind.OCCLUSION_BASELINES,
        )
    ranks = np.random.PCG64(seed).random_raw(available)
    return np.argsort(ranks, kind="stable")[:count].astype(np.int64)


def nearest_calibration(subject: Subject, count: int) -> NDArray[np.int64]:
    """The calibration spectra whose reconstructions are most like the subject, nearest first, (count,).

    Likeness is the sum over pixels of the squared residual in units of its variance. A residual counts up to
    :data:`MOST_BEYOND` sigma where the spectrum has more flux, so that a strong anomaly of few pixels does
    not choose company in which it looks usual. Where the spectrum has less flux it counts up to
    :data:`MOST_LACKING`, so that baselines have no strong lines that the spectrum lacks.
    """
    import torch

    order = np.arange(subject.decoder.calibration_size)
    flux, root = subject.flux.double(), subject.ivar.sqrt()
    unlike = []
    with torch.inference_mode():
        for low in range(0, len(order), _AT_ONCE):
            decoded = subject.decoder.baselines(order[low : low + _AT_ONCE])
            # In place: new memory would cost more than the arithmetic.
            misfit = torch.sub(decoded, flux).mul_(root).clamp_(-MOST_BEYOND, MOST_LACKING)
            unlike.append(misfit.square_().sum(dim=1))
        ranked = torch.cat(unlike).argsort(stable=True)[:count]
    return ranked.cpu().numpy().astype(np.int64)
