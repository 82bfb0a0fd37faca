"""Exposures of simulated DESI targets: tiles, nights and fibres, several of each for deep targets.

What they are changes no spectrum: they follow from the index and from random numbers of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from engine.simulation.randomness import Stream, generator
from engine.simulation.spectrum import RowKind, SimulatedSpectrum

_FIBRES = 5000
_PETAL_FIBRES = 500
_FIRST_TILE = 1000
_PASSES = 3
_FIRST_NIGHT = date(2021, 5, 15)
_FIRST_MJD = 59349
_FIRST_EXPOSURE = 88_000
_MOST = 4
_A_NIGHT = 2  # exposures of a tile


@dataclass(frozen=True, slots=True)
class Exposure:
    """One exposure of one target, as EXP_FIBERMAP has it; ``night`` is YYYYMMDD."""

    tile: int
    night: int
    number: int
    mjd: float
    petal: int
    device: int
    fiber: int


def exposure_count(spectrum: SimulatedSpectrum) -> int:
    """Exposures of a target: more of deeper ones."""
    return int(np.clip(round(1.5 * spectrum.depth), 1, _MOST))


def first_tile(spectrum: SimulatedSpectrum) -> int:
    """The tile that a target was observed on first; the fibres of a tile are filled one by one."""
    return _FIRST_TILE + _PASSES * (spectrum.index // _FIBRES)


def first_location(spectrum: SimulatedSpectrum) -> int:
    """LOCATION on that tile: 1000 petals and a device."""
    return spectrum.index % 10 * 1000 + spectrum.index // 10 % _PETAL_FIBRES


def exposures_of(seed: int, spectrum: SimulatedSpectrum) -> tuple[Exposure, ...]:
    """The exposures of a target, its tiles one after the other. A stuck positioner has one tile."""
    count = exposure_count(spectrum)
    random = generator(seed, Stream.EXPOSURES, spectrum.index)
    tiles = int(random.integers(1, min(count, _PASSES) + 1))
    if spectrum.row_kind is RowKind.STUCK:
        tiles = 1
    shares = [len(part) for part in np.array_split(np.arange(count), tiles)]
    return tuple(
        _exposure(seed, spectrum.index, number, turn)
        for number, share in enumerate(shares)
        for turn in range(share)
    )


def _exposure(seed: int, index: int, number: int, turn: int) -> Exposure:
    """Exposure ``turn`` of the tile of pass ``number`` over the fibres of a target's first tile."""
    # Each pass has another fibre for a target: 2657 and 5000 have no common divisor.
    place = index % _FIBRES if number == 0 else (2657 * index + 1009 * number) % _FIBRES
    petal, device = place % 10, place // 10
    tile = _FIRST_TILE + _PASSES * (index // _FIBRES) + number
    day = _first_day(seed, tile) + turn // _A_NIGHT
    return Exposure(
        tile,
        int(f"{_FIRST_NIGHT + timedelta(days=day):%Y%m%d}"),
        _FIRST_EXPOSURE + _MOST * (tile - _FIRST_TILE) + turn,
        _FIRST_MJD + day + 0.2 + 0.02 * (turn % _A_NIGHT),
        petal,
        device,
        _PETAL_FIBRES * petal + device,
    )


@lru_cache(maxsize=4096)
def _first_day(seed: int, tile: int) -> int:
    """Days between the survey's first night and the tile's; each pass begins after the one before it."""
    early = 120 * ((tile - _FIRST_TILE) % _PASSES)
    return early + int(generator(seed, Stream.EXPOSURES, 2**40 + tile).integers(0, 100))
