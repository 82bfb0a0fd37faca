"""Settings that all methods on segments share, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from engine.attribution.method import (
    MethodSettings,
    check_choice,
    check_whole,
    refuse_baselines,
    setting_error,
)
from engine.attribution.segments.segmentation import Segmentation, most_segments
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard

Replacement = Literal[
    "reconstruction", "nearest", "scaled", "flat", "same-shape", "gaussians", "segment-mean"
]
Sampling = Literal["paired", "independent"]

BASELINES = 8
"""Calibration spectra nearest to the spectrum whose mean is the replacement ``nearest``."""


@dataclass(frozen=True, slots=True)
class SegmentSettings(MethodSettings):
    """Segments, and what takes the place of one that is switched off.

    Attributes
    ----------
    segmentation : ``uniform`` or ``clustered``, see
        :func:`engine.attribution.segments.segmentation.segments_of`.
    width : of a segment in pixels; of clustered ones on average.
    replacement : see :mod:`engine.attribution.segments.replacements`.
    amount : factor of ``scaled``, level of ``flat``, height of ``gaussians``; None for the published one.
    white_noise : standard deviation of what takes the place of the spectrum's noise in a published
        replacement; None to keep the spectrum's.
    seed : of everything random.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    segmentation: Segmentation = "uniform"
    width: int = 64
    replacement: Replacement = "reconstruction"
    amount: float | None = None
    white_noise: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice(self, "segmentation", get_args(Segmentation))
        check_choice(self, "replacement", get_args(Replacement))
        check_whole(self, width=1, seed=0)
        if self.replacement == "same-shape" and self.white_noise is None:
            raise setting_error(
                self, "white_noise", "a number from 0 with same-shape: with its own noise it replaces nothing"
            )
        if self.white_noise is not None and not self.white_noise >= 0:
            raise setting_error(self, "white_noise", "a number from 0, or none to keep the spectrum's noise")

    def most_segments(self, pixels: int) -> int:
        """The segments that a spectrum of so many pixels has at most, and has without masks."""
        return most_segments(pixels, self.width)

    def check_pixels(self, pixels: int) -> None:
        """Refuse a spectrum of so many pixels if the settings do not suit it.

        Raises
        ------
        ConfigurationError : a segment is wider than the spectrum, or there are too many for the method.
        """
        check_width(self, "width", self.width, pixels)


def refuse_model(settings: SegmentSettings, card: ModelCard, calibration_size: int) -> None:
    """See :class:`engine.attribution.method.AttributionMethod`."""
    settings.check_pixels(card.grid.size)
    if settings.replacement == "nearest":
        refuse_baselines(settings, "replacement", BASELINES, card, calibration_size)


def design_numbers(segments: int, samples: int) -> int:
    """Numbers that are held while a design of so many coalitions is made and weights are fitted."""
    return 4 * segments * samples


def check_width(settings: MethodSettings, name: str, width: int, pixels: int) -> None:
    """Refuse segments that are wider than the spectrum.

    Raises
    ------
    ConfigurationError : they are.
    """
    if width > pixels:
        raise ConfigurationError(
            "A segment is wider than the spectrum.",
            where=f"{settings.method} settings, {name}",
            got=width,
            allowed=f"1 to {pixels} pixels",
            remedy="Take narrower segments; 64 pixels suit most spectra.",
            kind=ErrorKind.SEGMENTS,
        )


def check_sampling(settings: MethodSettings, sampling: Sampling) -> None:
    """Refuse an unknown ``sampling``, and a number of ``samples`` that it cannot draw."""
    check_choice(settings, "sampling", get_args(Sampling))
    check_whole(settings, samples=2)
    if sampling == "paired":
        check_pairs(settings, "samples")


def check_pairs(settings: MethodSettings, name: str) -> None:
    """Refuse an odd number of what comes in pairs."""
    if getattr(settings, name) % 2:
        raise setting_error(settings, name, "an even number")


def refuse_samples(settings: MethodSettings, name: str, segments: int, least: int) -> None:
    """Refuse fewer than ``least`` samples for so many segments.

    Raises
    ------
    ConfigurationError : they are fewer.
    """
    got = getattr(settings, name)
    if got < least:
        raise ConfigurationError(
            "There are too few samples for so many segments.",
            where=f"{settings.method} settings, {name}",
            got=f"{got} for {segments} segments",
            allowed=f"at least {least}",
            remedy=f"Raise {name}, or take wider segments.",
            kind=ErrorKind.SEGMENTS,
        )
