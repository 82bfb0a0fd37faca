"""Residual significance: the map that every other method must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.method import AttributionMethod, MethodSettings, Units
from engine.attribution.occlusion.settings import DEFAULT_WINDOWS, check_windows

if TYPE_CHECKING:
    from engine.attribution.subject import Subject


@dataclass(frozen=True, slots=True)
class ResidualSettings(MethodSettings):
    """Settings of the residual.

    Attributes
    ----------
    windows : widths in pixels over which it is averaged, strictly increasing.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "residual"

    windows: tuple[int, ...] = DEFAULT_WINDOWS

    def __post_init__(self) -> None:
        check_windows(self.windows, self.method)


def attribute(subject: Subject, settings: ResidualSettings) -> Attribution:
    """Significance of the mean residual in the window around each pixel: |sum r ivar| / sqrt(sum ivar).

    At a width of 1 it is the residual in units of its noise, and so are its maps at all widths: not in nat.
    Combined, the most significant width of each pixel. The model only reconstructs the spectrum, once.
    """
    ivar = subject.ivar.cpu().numpy()
    residual = (subject.flux.double() - subject.reconstruction).cpu().numpy()
    maps = np.stack([_significance(residual, ivar, width) for width in settings.windows])
    return attribution_of(subject, settings.windows, maps, contributions=_strongest(maps))


def _strongest(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """At each pixel the largest value alone, (W, N); the narrowest of equals."""
    alone = np.zeros_like(maps)
    place = maps.argmax(axis=0)[None]
    np.put_along_axis(alone, place, np.take_along_axis(maps, place, axis=0), axis=0)
    return alone


def _significance(
    residual: NDArray[np.float64], ivar: NDArray[np.float64], width: int
) -> NDArray[np.float64]:
    weighted, weight = _windowed(residual * ivar, width), _windowed(ivar, width)
    return np.divide(np.abs(weighted), np.sqrt(weight), out=np.zeros_like(ivar), where=weight > 0)


def _windowed(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Sums over the windows that :func:`engine.attribution.occlusion.windows.dense_scales` lays."""
    before = np.concatenate(([0.0], np.cumsum(values)))
    start = np.arange(len(values)) - width // 2
    stop = np.minimum(start + width, len(values))
    found: NDArray[np.float64] = before[stop] - before[np.maximum(start, 0)]
    return found


RESIDUAL = AttributionMethod(
    settings=ResidualSettings,
    needs=frozenset({"forward", "decoder"}),
    reference="docs/evaluation.md",
    attribute=attribute,
    scales=lambda settings: settings.windows,
    units=lambda _settings: Units("sigma", "sigma"),
    passes=lambda _settings, _pixels: 1,
)
