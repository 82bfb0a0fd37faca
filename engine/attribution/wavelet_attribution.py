"""Wavelet attribution: the score's slopes by wavelet coefficients, a scalogram over wavelength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.memory import check_held
from engine.attribution.method import (
    GRADIENT_PASSES,
    AttributionMethod,
    MethodSettings,
    Units,
    check_between,
    check_choice,
    check_whole,
)
from engine.attribution.saliency import Step, slope_units, step_of
from engine.attribution.start import Start, start_of
from engine.attribution.wavelet_choice import check_wavelet, refuse_depth, wavelet_scales

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject
    from engine.attribution.wavelets import Wavelets

Slopes = Literal["integrated", "smooth", "plain"]


@dataclass(frozen=True, slots=True)
class WaveletSettings(MethodSettings):
    """Settings of wavelet attribution.

    Attributes
    ----------
    wavelet : a discrete wavelet of PyWavelets; depth : levels. Published: haar, 3.
    slopes : ``integrated`` along a path, times the coefficients' way; ``smooth``, the size of the mean over
        noisy spectra; ``plain``, the size at the spectrum.
    start : of the path: the ``reconstruction``, or ``zero`` flux as published.
    per : coefficients are of flux in ``sigma`` of each pixel's noise, or of ``flux`` as published.
    samples : gradients of the path to begin with, an even number; or noisy spectra. Noise is that of the
        errors.
    seed : draws the noise.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "wavelet"

    wavelet: str = "sym4"
    depth: int = 8
    slopes: Slopes = "integrated"
    start: Start = "reconstruction"
    per: Step = "sigma"
    samples: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        check_wavelet(self, self.wavelet)
        check_whole(self, depth=1, samples=2, seed=0)
        check_between(self, "depth", 0, 20)
        for name, choices in (("slopes", Slopes), ("start", Start), ("per", Step)):
            check_choice(self, name, get_args(choices))


def attribute(subject: Subject, settings: WaveletSettings) -> Attribution:
    """What each coefficient adds to the score, shared out over its pixels; or the size of its slope."""
    from engine.attribution.wavelets import wavelets

    transform = wavelets(settings.wavelet, settings.depth, subject.flux.double())
    if settings.slopes == "integrated":
        return _of_path(subject, settings, transform)
    return _of_slopes(subject, settings, transform)


def _of_slopes(subject: Subject, settings: WaveletSettings, transform: Wavelets) -> Attribution:
    """The sizes of slopes, the same at all pixels of a coefficient; combined, the mean over levels."""
    slopes = transform.adjoint((_slope(subject, settings) * step_of(subject, settings.per))[None])
    pairs = zip(slopes, transform.cells, strict=True)
    sizes = [each[0].abs().repeat_interleave(cell)[: len(subject.flux)].cpu().numpy() for each, cell in pairs]
    return attribution_of(subject, wavelet_scales(settings.depth), np.stack(sizes))


def _of_path(subject: Subject, settings: WaveletSettings, transform: Wavelets) -> Attribution:
    """Adds up over levels and pixels to the score less that of the path's start.

    A straight path of coefficients is one of pixels, so gradients by pixels are all that is needed.
    """
    import torch

    flux, step = subject.flux.double(), step_of(subject, settings.per)
    start = start_of(subject, settings.start)
    way = torch.where(subject.good, flux - start, 0.0)
    slopes = transform.adjoint((_path_slope(subject, settings, flux - way, way) * step)[None])
    ways = transform.transform((way / step.where(step > 0, 1.0))[None])
    parts = zip(ways, slopes, transform.cells, strict=True)
    maps = [_shared(moved[0] * slope[0], cell, subject.good).cpu().numpy() for moved, slope, cell in parts]
    added = np.stack(maps)
    return attribution_of(
        subject, wavelet_scales(settings.depth), added, contributions=added, baselines=start[None]
    )


def _slope(subject: Subject, settings: WaveletSettings) -> Tensor:
    """(N,), at the spectrum or its mean over noise."""
    from engine.attribution.draws import noise

    flux = subject.flux.double()
    if settings.slopes == "plain":
        return subject.gradient(flux[None])[0]
    numbers = _held(settings, len(flux))
    check_held(subject.memory_bytes, numbers, f"{settings.samples} noisy spectra and their slopes")
    drawn = noise(settings.seed, settings.samples, "normal", subject.sigma)
    return subject.gradient(flux + drawn).mean(dim=0)


def _held(settings: WaveletSettings, pixels: int) -> int:
    """Noisy spectra and their slopes. Paths are followed in batches."""
    return 2 * settings.samples * pixels if settings.slopes == "smooth" else 0


def _path_slope(subject: Subject, settings: WaveletSettings, start: Tensor, way: Tensor) -> Tensor:
    from engine.attribution.paths import Effort, path_gradients

    pieces = settings.samples // 2
    return path_gradients(subject, start[None], way[None], Effort(pieces, 32 * pieces, 0.01))[0]


def _shared(values: Tensor, cell: int, good: Tensor) -> Tensor:
    """(N,), values of coefficients, each shared out equally among the good ones of its ``cell`` pixels."""
    import torch

    padded = torch.nn.functional.pad(good.double(), (0, cell * len(values) - len(good))).view(-1, cell)
    shares = padded / padded.sum(dim=1, keepdim=True).clamp_min(1)
    return (shares * values[:, None]).flatten()[: len(good)]


def _units(settings: WaveletSettings) -> Units:
    return (
        Units("nat / pixel", "nat / pixel") if settings.slopes == "integrated" else slope_units(settings.per)
    )


WAVELET = AttributionMethod(
    settings=WaveletSettings,
    needs=frozenset({"forward", "gradient", "decoder"}),
    reference="WAM: Kasmi et al. 2024, arXiv 2410.01482",
    attribute=attribute,
    scales=lambda settings: wavelet_scales(settings.depth),
    units=_units,
    passes=lambda settings, _: GRADIENT_PASSES * (1 if settings.slopes == "plain" else settings.samples),
    refuse=lambda settings, card, _: refuse_depth(settings, settings.wavelet, settings.depth, card),
)
