"""Settings of inverse multiscale occlusion, which a store keeps with the maps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, get_args

from engine.attribution.method import MethodSettings
from models.errors import ConfigurationError, ErrorKind

PresetName = Literal["nearest", "paper", "reference-code"]

DEFAULT_WINDOWS = (1, 4, 16, 64, 256, 1024)
"""Widths in pixels."""


@dataclass(frozen=True, slots=True)
class OcclusionSettings(MethodSettings):
    """Settings of one attribution run; see :mod:`engine.attribution.occlusion.combine` for the presets.

    Attributes
    ----------
    preset : ``"paper"`` (Shen & Melchior, arXiv 2310.20012), ``"reference-code"`` (what their
        published code does) or ``"nearest"`` (baselines most like the spectrum, scales weighed by their
        significance).
    windows : window widths in pixels, strictly increasing.
    baselines : number M of baselines into which pieces of the spectrum are pasted.
    seed : draws the baselines, see :func:`engine.attribution.baselines.drawn_calibration`; of no effect where
        the preset chooses them.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "occlusion"

    preset: PresetName = "nearest"
    windows: tuple[int, ...] = DEFAULT_WINDOWS
    baselines: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.preset not in get_args(PresetName):
            raise ConfigurationError(
                "There is no occlusion preset of that name.",
                where="occlusion settings, preset",
                got=self.preset,
                allowed=", ".join(get_args(PresetName)),
                remedy="Choose one of the allowed presets.",
                kind=ErrorKind.OCCLUSION_PRESET,
            )
        check_windows(self.windows, self.method)
        check_baselines(self.baselines, self.seed, self.method)

    def __str__(self) -> str:
        windows = ", ".join(map(str, self.windows))
        return f"preset {self.preset}, windows {windows} pixels, {self.baselines} baselines"


def check_windows(windows: tuple[int, ...], method: str) -> None:
    """Refuse widths of a method's windows that are not whole pixels in increasing order.

    Raises
    ------
    ConfigurationError : they are not.
    """
    whole = bool(windows) and all(_is_whole(width) and width >= 1 for width in windows)
    if not whole or any(right <= left for left, right in pairwise(windows)):
        raise ConfigurationError(
            "Window widths must be whole pixels in increasing order.",
            where=f"{method} settings, windows",
            got=list(windows),
            allowed="one or more integers, each at least 1 and larger than the one before",
            remedy="Sort the widths, drop repeated ones, e.g. 1, 4, 16, 64, 256, 1024.",
            kind=ErrorKind.OCCLUSION_WINDOWS,
        )


def check_baselines(baselines: int, seed: int, method: str) -> None:
    """Refuse a number of a method's baselines, or a seed, that is too small or not whole.

    Raises
    ------
    ConfigurationError : one is.
    """
    for name, what, value, least in (
        ("baselines", "The number of baselines", baselines, 1),
        ("seed", "seed", seed, 0),
    ):
        if not _is_whole(value) or value < least:
            raise ConfigurationError(
                f"{what} is too small or not whole.",
                where=f"{method} settings, {name}",
                got=value,
                allowed=f"an integer of at least {least}",
                remedy=f"Set {name} to an allowed value.",
                kind=ErrorKind.OCCLUSION_SETTINGS,
            )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
