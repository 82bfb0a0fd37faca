"""What a run of inverse multiscale occlusion may choose, and what of it is stored with the maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigurationError, ErrorKind

PresetName = Literal["nearest", "paper", "reference-code"]

_WHERE = "occlusion settings"


@dataclass(frozen=True, slots=True)
class OcclusionSettings:
    """Settings of one attribution run; see :mod:`engine.attribution.occlusion.combine` for the presets.

    Attributes
    ----------
    preset : ``"paper"`` (Shen & Melchior, arXiv 2310.20012), ``"reference-code"`` (what their
        published code does) or ``"nearest"`` (baselines most like the spectrum, scales weighed alike).
    windows : window widths in pixels, strictly increasing.
    baselines : number M of baselines into which pieces of the spectrum are pasted.
    seed : draws the baselines, see :meth:`draw`; of no effect where the preset chooses them.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    preset: PresetName = "nearest"
    windows: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    baselines: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.preset not in get_args(PresetName):
            raise ConfigurationError(
                "There is no occlusion preset of that name.",
                where=f"{_WHERE}, preset",
                got=self.preset,
                allowed=", ".join(get_args(PresetName)),
                remedy="Choose one of the allowed presets.",
                kind=ErrorKind.OCCLUSION_PRESET,
            )
        widths = self.windows
        whole = bool(widths) and all(_is_whole(width) and width >= 1 for width in widths)
        if not whole or any(right <= left for left, right in pairwise(widths)):
            raise ConfigurationError(
                "Window widths must be whole pixels in increasing order.",
                where=f"{_WHERE}, windows",
                got=list(widths),
                allowed="one or more integers, each at least 1 and larger than the one before",
                remedy="Sort the widths, drop repeated ones, e.g. 1, 4, 16, 64, 256, 1024.",
                kind=ErrorKind.OCCLUSION_WINDOWS,
            )
        for name, least in (("baselines", 1), ("seed", 0)):
            value = getattr(self, name)
            if not _is_whole(value) or value < least:
                raise ConfigurationError(
                    f"The number of {name} is too small or not whole."
                    if name == "baselines"
                    else f"{name} is too small or not whole.",
                    where=f"{_WHERE}, {name}",
                    got=value,
                    allowed=f"an integer of at least {least}",
                    remedy=f"Set {name} to an allowed value.",
                    kind=ErrorKind.OCCLUSION_SETTINGS,
                )

    def draw(self, available: int) -> NDArray[np.int64]:
        """Which of ``available`` calibration spectra are the baselines, shape (baselines,).

        Without replacement, from ``seed`` alone, the same in every version of NumPy: only the bit
        generator is used, whose stream NumPy keeps fixed.

        Raises
        ------
        ConfigurationError : fewer spectra are available than baselines are wanted.
        """
        if available < self.baselines:
            raise ConfigurationError(
                "There are fewer calibration spectra than baselines to draw.",
                where=f"{_WHERE}, baselines",
                got=f"{available} spectra for {self.baselines} baselines",
                allowed=f"baselines from 1 to {available}",
                remedy="Ask for fewer baselines or use a model card with a larger calibration set.",
                kind=ErrorKind.OCCLUSION_BASELINES,
            )
        ranks = np.random.PCG64(self.seed).random_raw(available)
        return np.argsort(ranks, kind="stable")[: self.baselines].astype(np.int64)

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready description; :meth:`from_dict` is its inverse."""
        return {**asdict(self), "windows": list(self.windows)}

    @classmethod
    def from_dict(cls, description: Mapping[str, object]) -> OcclusionSettings:
        """The settings that :meth:`to_dict` described; names left out keep their defaults.

        Raises
        ------
        ConfigurationError : an unknown name, or a value outside what is allowed.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(description) - set(known))
        if unknown:
            raise ConfigurationError(
                "Occlusion settings hold names that this version does not know.",
                where=_WHERE,
                got=", ".join(unknown),
                allowed=", ".join(known),
                remedy="Correct the names, or use the version of whyspec that wrote them.",
                kind=ErrorKind.OCCLUSION_SETTINGS,
            )
        values = dict(description)
        if isinstance(values.get("windows"), list):
            values["windows"] = tuple(values["windows"])  # type: ignore[arg-type]
        try:
            return cls(**values)  # type: ignore[arg-type]
        except TypeError as error:
            raise ConfigurationError(
                "Occlusion settings hold a value of the wrong kind.",
                where=_WHERE,
                got=dict(description),
                allowed=", ".join(f"{field.name}: {field.type}" for field in fields(cls)),
                remedy="Correct the value's kind; windows is a list of integers.",
                kind=ErrorKind.OCCLUSION_SETTINGS,
            ) from error


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
