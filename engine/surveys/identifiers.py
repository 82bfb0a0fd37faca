"""Identifiers of 64 bits: as a survey's catalogues have them, and as the rows of a store hold them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.surveys.surveys import survey_on
from models.errors import ConfigurationError, ErrorKind
from models.grid import WavelengthGrid

UNKNOWN = -1
"""What rows hold where there is no identifier."""


def shown_identifiers(
    grid: WavelengthGrid, stored: NDArray[np.int64]
) -> NDArray[np.int64] | NDArray[np.uint64]:
    """Identifiers of rows as the catalogues of the grid's survey have them.

    Unsigned ones are uint64, with 0 for none.
    """
    if not has_unsigned_identifiers(grid):
        return stored
    return np.where(stored == UNKNOWN, 0, stored).astype(np.int64).view(np.uint64)


def stored_identifier(grid: WavelengthGrid, number: int) -> int:
    """An identifier of a catalogue as rows hold it.

    Raises
    ------
    ConfigurationError : the survey's identifiers do not have such numbers.
    """
    return stored_identifiers(grid, [number])[0]


def stored_identifiers(grid: WavelengthGrid, numbers: Sequence[int]) -> list[int]:
    """Identifiers of a catalogue as rows hold them.

    Raises
    ------
    ConfigurationError : the survey's identifiers do not have such numbers.
    """
    kind = np.uint64 if has_unsigned_identifiers(grid) else np.int64
    least, largest = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    outside = [number for number in numbers if not least <= number <= largest]
    if outside:
        raise ConfigurationError(
            "The number is no identifier of the survey.",
            where="--target-id",
            got=outside[0],
            allowed=f"{least} to {largest}",
            remedy="Copy the identifier from the survey's catalogue, digit by digit.",
            kind=ErrorKind.OPTION,
        )
    return [number - (1 << 64) if number >= 1 << 63 else number for number in numbers]


@cache
def has_unsigned_identifiers(grid: WavelengthGrid) -> bool:
    """Whether identifiers of the grid's survey are unsigned."""
    survey = survey_on(grid)
    return survey is not None and survey.unsigned_identifiers
