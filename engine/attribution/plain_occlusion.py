"""Plain occlusion: windows of the spectrum replaced, the usual way round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.method import AttributionMethod, MethodSettings, check_choice, refuse_baselines
from engine.attribution.occlusion.combine import scale_map, shares
from engine.attribution.occlusion.method import forward_passes, refuse_windows, units
from engine.attribution.occlusion.settings import (
    DEFAULT_WINDOWS,
    OcclusionSettings,
    Spacing,
    check_baselines,
    check_windows,
)
from engine.attribution.replacements import Replacement, replacement_of

if TYPE_CHECKING:
    from engine.attribution.subject import Subject
    from models.model_card import ModelCard


@dataclass(frozen=True, slots=True)
class PlainOcclusionSettings(MethodSettings):
    """Settings of plain occlusion.

    Attributes
    ----------
    replacement : what takes a window's place, see :data:`engine.attribution.replacements.Replacement`.
    windows : widths in pixels, strictly increasing.
    baselines, seed : number of calibration spectra drawn for the mean baseline, and what draws them.
    spacing : how windows are laid, see :mod:`engine.attribution.occlusion.windows`. ``tiled`` is feature
        ablation: each pixel is in one window of each width, and gets an equal part of its effect.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "plain-occlusion"

    replacement: Replacement = "mean baseline"
    windows: tuple[int, ...] = DEFAULT_WINDOWS
    baselines: int = 8
    seed: int = 0
    spacing: Spacing = "sparse"

    def __post_init__(self) -> None:
        check_choice(self, "replacement", get_args(Replacement))
        check_choice(self, "spacing", get_args(Spacing))
        check_windows(self.windows, self.method)
        check_baselines(self.baselines, self.seed, self.method)


def attribute(subject: Subject, settings: PlainOcclusionSettings) -> Attribution:
    """How much less odd the spectrum is without the window around each pixel; combined, the mean of all."""
    # What the model draws without a window depends on its width; all else is the same for all widths.
    alike = [settings.windows]
    if settings.replacement == "generative":
        alike = [(width,) for width in settings.windows]
    maps = [each for windows in alike for each in _maps(subject, replace(settings, windows=windows))]
    of_pixel = shares(settings.spacing, np.array(settings.windows, dtype=np.int64))
    return attribution_of(subject, settings.windows, np.stack(maps), shares=of_pixel)


def _maps(subject: Subject, settings: PlainOcclusionSettings) -> list[NDArray[np.float64]]:
    """(N,) each, of all windows, replaced by the same spectrum."""
    from engine.attribution.occlusion.inverse_occlusion import effects_into

    # The same passes as inverse occlusion, with the roles changed: pieces of the replacement are pasted
    # into the spectrum.
    donor = replacement_of(
        subject, settings.replacement, settings.windows[0], settings.baselines, settings.seed
    ).to(subject.flux.dtype)
    turned = replace(subject, flux=donor.where(subject.good, subject.flux))
    effects = effects_into(turned, subject.flux[None], _as_occlusion(settings))
    pairs = zip(effects.scales, effects.differences, strict=True)
    return [-scale_map(settings.spacing, scale, part)[0] for scale, part in pairs]


def _as_occlusion(settings: PlainOcclusionSettings) -> OcclusionSettings:
    """The windows, for one spectrum into which they are pasted."""
    return OcclusionSettings(windows=settings.windows, baselines=1, spacing=settings.spacing)


def _passes(settings: PlainOcclusionSettings, pixels: int) -> int:
    return forward_passes(_as_occlusion(settings), pixels)


def _refuse(settings: PlainOcclusionSettings, card: ModelCard, calibration_size: int) -> None:
    if settings.replacement in ("mean baseline", "noise"):
        refuse_baselines(settings, "baselines", settings.baselines, card, calibration_size)
    refuse_windows(settings, settings.windows, card)


PLAIN_OCCLUSION = AttributionMethod(
    settings=PlainOcclusionSettings,
    needs=frozenset({"forward", "decoder"}),
    reference="Zeiler & Fergus 2014, arXiv 1311.2901",
    attribute=attribute,
    scales=lambda settings: settings.windows,
    passes=_passes,
    units=lambda settings: units(_as_occlusion(settings)),
    refuse=_refuse,
    by_seams=lambda _: True,
)
