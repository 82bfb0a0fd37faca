"""Replacements: what a spectrum has in the place of a segment that is switched off.

Of this project: ``reconstruction``, the noise-free spectrum that the model sees in it; ``nearest``, the mean
of the calibration spectra most like it, at its redshift.

Of Ortiz Manrique & Boquien, arXiv 2510.05235, by their code (github.com/ed-ortizm/xai-astronomy). They tell
the spectrum's shape from its noise by smoothing, and keep the noise or put white noise in its place:

``scaled`` : the shape drawn towards its median by a factor, 0.9. Without its own noise kept, noise is scaled
    with the shape. It takes a tenth of a broad feature, a thirtieth of a single pixel, and nothing of flux at
    the median.
``flat`` : a level, 1.
``same-shape`` : the shape with white noise.
``gaussians`` : the spectrum and a Gaussian in every segment, of height 1, an eighth of its width wide. The
    published code puts the last one, of a shorter segment, one or two pixels off its middle; here it is
    there.
``segment-mean`` : the mean of each segment.

Their white noise has no seed; here it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.baselines import typical_spectra
from engine.attribution.segments.random_stream import random_stream
from engine.attribution.segments.segmentation import Segments
from engine.attribution.segments.settings import BASELINES, Replacement, SegmentSettings
from engine.attribution.segments.smoothing import bridged, smooth
from engine.attribution.subject import Subject

Floats = NDArray[np.float64]

_SIGMAS = 8
"""Widths of a Gaussian in its segment."""


def replacement_of(subject: Subject, segments: Segments, settings: SegmentSettings) -> Tensor:
    """What a subject has in the place of its segments, (N,) float64 on its device.

    Raises
    ------
    ConfigurationError : the model has too few calibration spectra.
    """
    if settings.replacement == "reconstruction":
        return subject.reconstruction
    if settings.replacement == "nearest":
        return typical_spectra(subject, "nearest", BASELINES, settings.seed).double().mean(dim=0)
    good = subject.good.cpu().numpy()
    flux = bridged(subject.flux.cpu().numpy(), good)
    parts = _Parts(flux, smooth(flux), good, segments, settings)
    return torch.from_numpy(_PUBLISHED[settings.replacement](parts)).to(subject.flux.device)


@dataclass(frozen=True, eq=False)
class _Parts:
    """A spectrum (N,) without gaps, its shape, and its segments."""

    flux: Floats
    shape: Floats
    good: NDArray[np.bool_]
    segments: Segments
    settings: SegmentSettings

    def amount(self, published: float) -> float:
        return published if self.settings.amount is None else self.settings.amount

    @property
    def noise(self) -> Floats:
        """What replaces the noise: itself, or white noise."""
        if self.settings.white_noise is None:
            return self.flux - self.shape
        return random_stream(self.settings.seed).normal(scale=self.settings.white_noise, size=len(self.flux))


def _scaled(parts: _Parts) -> Floats:
    drawn = parts.shape if parts.settings.white_noise is None else parts.flux
    median = np.median(drawn[parts.good]) if parts.good.any() else 0.0
    return median + (drawn - median) * parts.amount(0.9) + parts.noise


def _flat(parts: _Parts) -> Floats:
    return parts.amount(1.0) + parts.noise


def _same_shape(parts: _Parts) -> Floats:
    return parts.shape + parts.noise


def _gaussians(parts: _Parts) -> Floats:
    segments, pixel = parts.segments, np.arange(len(parts.flux))
    good = np.flatnonzero(segments.of_pixel >= 0)
    number = np.arange(segments.count)
    first = good[np.searchsorted(segments.of_pixel[good], number)]
    width = good[np.searchsorted(segments.of_pixel[good], number, side="right") - 1] + 1 - first
    away = (pixel - (first + width // 2)[:, None]) / (width / _SIGMAS)[:, None]
    bumps: Floats = parts.amount(1.0) * np.exp(-0.5 * away**2).sum(axis=0)
    return parts.shape + parts.noise + bumps


def _segment_mean(parts: _Parts) -> Floats:
    segments = parts.segments
    number = np.bincount(segments.of_pixel[parts.good], minlength=segments.count)
    return segments.on_pixels(segments.sums(parts.flux) / number) + parts.noise


_PUBLISHED: Mapping[Replacement, Callable[[_Parts], Floats]] = MappingProxyType(
    {
        "scaled": _scaled,
        "flat": _flat,
        "same-shape": _same_shape,
        "gaussians": _gaussians,
        "segment-mean": _segment_mean,
    }
)
