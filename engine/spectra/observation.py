"""Observation: where in the instrument and when one spectrum was taken, and what its pipeline warns of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

_EXPOSURE = re.compile(r"(-?[0-9]{1,18})/(-?[0-9]{1,18})/(-?[0-9]{1,18})/(-?[0-9]{1,9})/(-?[0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Exposure:
    """One exposure of a target of DESI; what is not known is -1."""

    tile: int
    night: int
    exposure: int
    fiber: int
    petal: int


def exposures_of(text: str) -> tuple[Exposure, ...]:
    """What a row's column ``exposures`` lists; what is none there is left out."""
    found = filter(None, map(_EXPOSURE.fullmatch, text.split(" ")))
    return tuple(Exposure(*map(int, match.groups())) for match in found)


@dataclass(frozen=True, slots=True)
class Observation:
    """Columns of a row, see :data:`engine.spectra.rows.COLUMNS`; what a survey lacks is -1 or empty."""

    zwarn: int
    target_class: str
    plate: int
    mjd: int
    fiber: int
    petal: int
    spectrograph: int
    tiles: str
    night_first: int
    night_last: int
    exposure_count: int
    exposures: str

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Observation:
        """That of a row, given by the names of columns."""
        given = {each.name: row[each.name] for each in fields(cls)}
        plain: dict[str, Any] = {
            name: str(value) if isinstance(value, str) else int(value) for name, value in given.items()
        }
        return cls(**plain)

    def __str__(self) -> str:
        numbers = (
            ("plate", self.plate),
            ("MJD", self.mjd),
            ("fiber", self.fiber),
            ("petal", self.petal),
            ("spectrograph", self.spectrograph),
            ("exposures", self.exposure_count),
        )
        parts = [f"{name} {number}" for name, number in numbers if number >= 0]
        if self.tiles:
            parts.append(f"{'tiles' if ' ' in self.tiles else 'tile'} {self.tiles}")
        if self.night_first >= 0:
            several = self.night_first < self.night_last
            nights = f"s {self.night_first} to {self.night_last}" if several else f" {self.night_first}"
            parts.append(f"night{nights}")
        return ", ".join(parts)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is known of it, as names and texts."""
        found = [("taken", str(self)), ("targeted as", self.target_class)]
        found.append(("ZWARN", str(self.zwarn) if self.zwarn else ""))
        return [(name, text) for name, text in found if text]

    def to_dict(self) -> dict[str, int | str]:
        """A JSON-ready description; an exposure is TILEID/NIGHT/EXPID/FIBER/PETAL_LOC."""
        return asdict(self)


OBSERVATION_COLUMNS = tuple(each.name for each in fields(Observation))
"""The columns of a row that it is made of."""
