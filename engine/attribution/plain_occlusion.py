"""Plain occlusion: windows of the spectrum replaced, the usual way round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.baselines import drawn_calibration
from engine.attribution.method import AttributionMethod, MethodSettings
from engine.attribution.occlusion.combine import scale_map
from engine.attribution.occlusion.method import forward_passes
from engine.attribution.occlusion.settings import (
    DEFAULT_WINDOWS,
    OcclusionSettings,
    check_baselines,
    check_windows,
)

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

Replacement = Literal["zero", "mean flux", "mean baseline"]


@dataclass(frozen=True, slots=True)
class PlainOcclusionSettings(MethodSettings):
    """Settings of plain occlusion.

    Attributes
    ----------
    replacement : what takes a window's place: zero, the spectrum's mean flux, or the mean of the baselines.
    windows : widths in pixels, strictly increasing; they are laid as
        :func:`engine.attribution.occlusion.windows.sparse_scales` does.
    baselines, seed : number of calibration spectra drawn for the mean baseline, and what draws them.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "plain-occlusion"

    replacement: Replacement = "mean baseline"
    windows: tuple[int, ...] = DEFAULT_WINDOWS
    baselines: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        check_windows(self.windows, self.method)
        check_baselines(self.baselines, self.seed, self.method)


def attribute(subject: Subject, settings: PlainOcclusionSettings) -> Attribution:
    """How much less odd the spectrum is without the window around each pixel; combined, the mean of all."""
    from engine.attribution.occlusion.inverse_occlusion import effects_into

    # The same passes as inverse occlusion, with the roles changed: pieces of the replacement are pasted
    # into the spectrum.
    replacement = _replacement(subject, settings).to(subject.flux.dtype)
    turned = replace(subject, flux=replacement.where(subject.good, subject.flux))
    occlusion = _as_occlusion(settings)
    effects = effects_into(turned, subject.flux[None], occlusion)
    pairs = zip(effects.scales, effects.differences, strict=True)
    maps = np.stack([-scale_map(occlusion.spacing, scale, part)[0] for scale, part in pairs])
    return attribution_of(subject, settings.windows, maps)


def _replacement(subject: Subject, settings: PlainOcclusionSettings) -> Tensor:
    """(N,), what takes the window's place."""
    if settings.replacement == "zero":
        return subject.flux.new_zeros(subject.flux.shape)
    if settings.replacement == "mean flux":
        return subject.flux.new_full(subject.flux.shape, float(subject.flux[subject.good].mean()))
    chosen = drawn_calibration(subject.decoder.calibration_size, settings.baselines, settings.seed)
    return subject.decoder.baselines(chosen).mean(dim=0)


def _as_occlusion(settings: PlainOcclusionSettings) -> OcclusionSettings:
    """The windows, for one spectrum into which they are pasted."""
    return OcclusionSettings(windows=settings.windows, baselines=1)


def _passes(settings: PlainOcclusionSettings, pixels: int) -> int:
    return forward_passes(_as_occlusion(settings), pixels)


PLAIN_OCCLUSION = AttributionMethod(
    settings=PlainOcclusionSettings,
    needs=frozenset({"forward", "decoder"}),
    reference="Zeiler & Fergus 2014, arXiv 1311.2901",
    attribute=attribute,
    scales=lambda settings: settings.windows,
    passes=_passes,
)
