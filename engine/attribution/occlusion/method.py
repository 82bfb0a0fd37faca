"""Inverse multiscale occlusion as a method of attribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.attribution.method import AttributionMethod, MethodSettings, Units, refuse_baselines
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.attribution.occlusion.windows import scales_of
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard

if TYPE_CHECKING:
    from engine.attribution.occlusion.attribution import OcclusionAttribution
    from engine.attribution.subject import Subject


def forward_passes(settings: OcclusionSettings, pixels: int) -> int:
    """Passes of the whole model that occlusion without seams needs for one spectrum without masks.

    For plans and progress: masked pixels make it fewer, copies of the baselines about 3 per cent more, and
    1 + M log probabilities are asked for besides.
    """
    scales = scales_of(settings, pixels)
    everywhere = np.ones(pixels, dtype=np.bool_)
    return settings.baselines * (1 + sum(len(scale.pasting(everywhere)) for scale in scales))


def _attribute(subject: Subject, settings: OcclusionSettings) -> OcclusionAttribution:
    from engine.attribution.occlusion.inverse_occlusion import attribute

    return attribute(subject, settings)


def units(settings: OcclusionSettings) -> Units:
    """A tile's effect is shared out among its pixels; significance counts standard deviations."""
    maps = "nat / pixel" if settings.spacing == "tiled" else "nat"
    return Units(maps, "sigma" if settings.combination == "significance" else maps)


def _refuse(settings: OcclusionSettings, card: ModelCard, calibration_size: int) -> None:
    refuse_baselines(settings, "baselines", settings.baselines, card, calibration_size)
    refuse_windows(settings, settings.windows, card)


def refuse_windows(settings: MethodSettings, windows: tuple[int, ...], card: ModelCard) -> None:
    """Refuse windows of a method that are wider than a model's spectra.

    Raises
    ------
    ConfigurationError : one is.
    """
    if max(windows) > card.grid.size:
        raise ConfigurationError(
            "A window is wider than the spectrum.",
            where=f"{settings.method} settings, windows",
            got=max(windows),
            allowed=f"1 to {card.grid.size} pixels",
            remedy="Leave that width out.",
            kind=ErrorKind.WINDOWS,
        )


OCCLUSION = AttributionMethod(
    settings=OcclusionSettings,
    needs=frozenset({"forward", "decoder"}),
    reference="Shen & Melchior 2023, arXiv 2310.20012",
    attribute=_attribute,
    scales=lambda settings: settings.windows,
    units=units,
    passes=forward_passes,
    refuse=_refuse,
    by_seams=lambda _: True,
    scale_meaning="width of the occlusion window",
)
