"""Sobol indices of wavelet blocks: which scales at which wavelengths the score's variance is due to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, get_args

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.memory import check_held
from engine.attribution.method import (
    AttributionMethod,
    MethodSettings,
    Units,
    check_between,
    check_choice,
    check_whole,
    setting_error,
)
from engine.attribution.start import Start, start_of
from engine.attribution.wavelet_choice import check_wavelet, refuse_depth, wavelet_scales

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject
    from engine.attribution.wavelets import Coefficients, Wavelets


@dataclass(frozen=True, slots=True)
class WaveletSobolSettings(MethodSettings):
    """Settings of Sobol indices of wavelet blocks.

    Attributes
    ----------
    wavelet : a discrete wavelet of PyWavelets; depth : levels.
    blocks : of neighbouring coefficients on each level; every one fades by itself.
    samples : points of the Sobol sequence, a power of two; there are as many passes for every block, and two
        times more.
    seed : scrambles the sequence.
    start : what is left where all has faded: the ``reconstruction``, or ``zero`` flux as published.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "wavelet-sobol"

    wavelet: str = "haar"
    depth: int = 6
    blocks: int = 16
    samples: int = 16
    seed: int = 0
    start: Start = "reconstruction"

    def __post_init__(self) -> None:
        check_wavelet(self, self.wavelet)
        check_whole(self, depth=1, blocks=1, samples=2, seed=0)
        check_between(self, "depth", 0, 20)
        check_between(self, "blocks", 0, 500)
        check_choice(self, "start", get_args(Start))
        if self.samples & (self.samples - 1):
            raise setting_error(self, "samples", "a power of two")


def attribute(subject: Subject, settings: WaveletSobolSettings) -> Attribution:
    """Total indices: the share of the variance that a block makes, alone and together with others.

    What fades, by independent uniform factors, are the coefficients of the residual. Published is the whole
    input, whose fading leaves no spectrum (``start="zero"``). Jansen's estimator (1999, doi
    10.1016/S0010-4655(98)00154-4). An index has no sign. Combined is the mean over levels. All are 0 where
    the score does not vary.
    """
    import torch

    from engine.attribution.wavelets import wavelets

    flux = subject.flux.double()
    transform = wavelets(settings.wavelet, settings.depth, flux)
    start = start_of(subject, settings.start)
    coefficients = transform.transform(torch.where(subject.good, flux - start, 0.0)[None])
    number = _numbers(coefficients, settings.blocks)
    count = settings.blocks * len(coefficients)
    check_held(subject.memory_bytes, _held(settings, len(flux)), f"sets of factors of {count} blocks")
    sequence = torch.quasirandom.SobolEngine(  # type: ignore[no-untyped-call]
        2 * count, scramble=True, seed=settings.seed
    )
    first, second = sequence.draw(settings.samples, dtype=torch.float64).to(flux.device).chunk(2, dim=1)
    one = torch.eye(count, dtype=torch.bool, device=flux.device)[:, None]
    mixed = torch.where(one, second, first).flatten(0, 1)
    factors = torch.cat((first, second, mixed))
    scores = _scores(subject, transform, start, coefficients, number, factors)
    ends, exchanged = scores[: 2 * settings.samples], scores[2 * settings.samples :]
    variance = ends.var(correction=0)
    moved = (exchanged.view(count, -1) - ends[: settings.samples]).square().mean(dim=1)
    index = 0.5 * moved / variance.where(variance > 0, 1.0)
    maps = [
        index[each].repeat_interleave(cell)[: len(flux)]
        for each, cell in zip(number, transform.cells, strict=True)
    ]
    return attribution_of(subject, wavelet_scales(settings.depth), torch.stack(maps).cpu().numpy())


def _held(settings: WaveletSobolSettings, _pixels: int) -> int:
    """Two sets of factors of all blocks for each score."""
    count = settings.blocks * (settings.depth + 1)
    return 2 * settings.samples * (count + 2) * count


def _numbers(coefficients: Coefficients, blocks: int) -> list[Tensor]:
    """Of each part the block (n,) of each of its coefficients."""
    import torch

    return [
        level * blocks + torch.arange(each.shape[1], device=each.device) * blocks // each.shape[1]
        for level, each in enumerate(coefficients)
    ]


def _scores(
    subject: Subject,
    transform: Wavelets,
    start: Tensor,
    coefficients: Coefficients,
    number: list[Tensor],
    factors: Tensor,
) -> Tensor:
    """Scores (B,) of spectra whose blocks, beyond ``start`` (N,), are multiplied by factors (B, blocks)."""
    import torch

    from engine.attribution.memory import spectra_at_once

    flux = subject.flux.double()
    rows = spectra_at_once(subject.memory_bytes, subject.floats_per_pixel, len(flux))
    scores = []
    for part in torch.split(factors, rows):
        faded = [each * part[:, block] for each, block in zip(coefficients, number, strict=True)]
        spectra = torch.where(subject.good, start + transform.inverse(faded), flux)
        scores.append(-subject.log_probs(spectra))
    return torch.cat(scores)


WAVELET_SOBOL = AttributionMethod(
    settings=WaveletSobolSettings,
    needs=frozenset({"forward", "decoder"}),
    reference="WCAM: Kasmi et al. 2023, arXiv 2305.14979",
    attribute=attribute,
    scales=lambda settings: wavelet_scales(settings.depth),
    units=lambda _: Units("share of variance", "share of variance"),
    passes=lambda settings, _: settings.samples * (settings.blocks * (settings.depth + 1) + 2),
    refuse=lambda settings, card, _: refuse_depth(settings, settings.wavelet, settings.depth, card),
)
