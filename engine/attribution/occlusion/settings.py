"""Settings of inverse multiscale occlusion, which a store keeps with the maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

from engine.attribution.baselines import BaselineSource
from engine.attribution.method import MethodSettings
from models.errors import ConfigurationError, ErrorKind

PresetName = Literal["nearest", "paper", "reference-code"]
Spacing = Literal["sparse", "dense", "tiled"]
CombinationName = Literal["mean", "significance", "inverse-variance", "inverse-deviation"]

DEFAULT_WINDOWS = (1, 4, 16, 64, 256, 1024)
"""Widths in pixels."""

PRESETS: Mapping[PresetName, Mapping[str, str]] = MappingProxyType(
    {
        "nearest": {"baseline_source": "nearest", "spacing": "sparse", "combination": "mean"},
        "paper": {"baseline_source": "random", "spacing": "dense", "combination": "inverse-variance"},
        "reference-code": {
            "baseline_source": "random",
            "spacing": "tiled",
            "combination": "inverse-deviation",
        },
    }
)
"""Names for three settings at once: the defaults; the text of Shen & Melchior, arXiv 2310.20012; what their
published code does."""


@dataclass(frozen=True, slots=True)
class OcclusionSettings(MethodSettings):
    """Settings of one attribution run; :data:`PRESETS` names the usual ones.

    Attributes
    ----------
    baseline_source : calibration spectra ``nearest`` to the spectrum or drawn at ``random``, see
        :mod:`engine.attribution.baselines`.
    spacing : of the windows of one width: ``dense``, around every pixel; ``sparse``, wide ones some pixels
        apart; ``tiled``, side by side, see :mod:`engine.attribution.occlusion.windows`.
    combination : of the maps of all widths, see :mod:`engine.attribution.occlusion.combine`.
    windows : window widths in pixels, strictly increasing.
    offsets : of ``tiled`` windows alone: first border of each width's tiles in pixels; empty for those of the
        authors' figure, see :func:`engine.attribution.occlusion.windows.staggered`.
    baselines : number M of baselines into which pieces of the spectrum are pasted.
    seed : draws ``random`` baselines, see :func:`engine.attribution.baselines.drawn_calibration`.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "occlusion"

    baseline_source: BaselineSource = "nearest"
    spacing: Spacing = "sparse"
    combination: CombinationName = "mean"
    windows: tuple[int, ...] = DEFAULT_WINDOWS
    offsets: tuple[int, ...] = ()
    baselines: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        _check_choice("baseline_source", self.baseline_source, get_args(BaselineSource))
        _check_choice("spacing", self.spacing, get_args(Spacing))
        _check_choice("combination", self.combination, get_args(CombinationName))
        check_windows(self.windows, self.method)
        check_baselines(self.baselines, self.seed, self.method)
        self._check_offsets()

    def _check_offsets(self) -> None:
        whole = all(_is_whole(offset) and offset >= 0 for offset in self.offsets)
        if self.offsets and (not whole or len(self.offsets) != len(self.windows) or self.spacing != "tiled"):
            raise ConfigurationError(
                "Offsets do not suit the windows.",
                where="occlusion settings, offsets",
                got=f"{list(self.offsets)} for {self.spacing} windows {list(self.windows)}",
                allowed="whole pixels from 0, one for each width of tiled windows",
                remedy="Give as many offsets as widths and the spacing tiled, or no offsets.",
                kind=ErrorKind.OCCLUSION_WINDOWS,
            )

    def __str__(self) -> str:
        windows = ", ".join(map(str, self.windows))
        offsets = f" from {', '.join(map(str, self.offsets))}" if self.offsets else ""
        return (
            f"{self.baselines} {self.baseline_source} baselines, {self.spacing} windows of {windows} pixels"
            f"{offsets}, combined by {self.combination}"
        )


def of_preset(name: PresetName, **settings: Any) -> OcclusionSettings:
    """The settings that a preset stands for, and others.

    Raises
    ------
    ConfigurationError : there is no such preset, or a value is outside what is allowed.
    """
    _check_choice("preset", name, tuple(PRESETS))
    return OcclusionSettings.from_dict({**PRESETS[name], **settings})


def _check_choice(name: str, got: str, allowed: Sequence[str]) -> None:
    if got not in allowed:
        raise ConfigurationError(
            "A setting of the occlusion is not one of its names.",
            where=f"occlusion settings, {name}",
            got=got,
            allowed=", ".join(allowed),
            remedy="Choose one of the allowed names.",
            kind=ErrorKind.OCCLUSION_PRESET,
        )


def check_windows(windows: tuple[int, ...], method: str, name: str = "windows") -> None:
    """Refuse widths that are not whole pixels in increasing order, of a method's setting of that name.

    Raises
    ------
    ConfigurationError : they are not.
    """
    whole = bool(windows) and all(_is_whole(width) and width >= 1 for width in windows)
    if not whole or any(right <= left for left, right in pairwise(windows)):
        raise ConfigurationError(
            "Window widths must be whole pixels in increasing order.",
            where=f"{method} settings, {name}",
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
