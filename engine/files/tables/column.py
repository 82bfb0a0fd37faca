"""Column of a table that was read, and what it says as integers, numbers or texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ErrorKind, InputError

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,20}\s*", re.ASCII)
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1


@dataclass(frozen=True, eq=False)
class Column:
    """A column of n rows.

    Attributes
    ----------
    name : as the table has it; where : the table, for errors.
    values : (n,) int64 or uint64, float64, bool, or str objects.
    known : (n,) false where the table has no value.
    unit : as the table says it; empty where it says none.
    """

    name: str
    where: str
    values: NDArray[Any]
    known: NDArray[np.bool_]
    unit: str = ""

    def integers(self) -> tuple[NDArray[np.int64] | NDArray[np.uint64], NDArray[np.bool_]]:
        """The values as integers of 64 bits, every digit of them, and which of them are such.

        Texts of digits count. uint64 where one is 2**63 or more.

        Raises
        ------
        InputError : the column holds floating-point numbers, which lose digits, or booleans.
        """
        if self.values.dtype.kind in "iu":
            return self.values, self.known
        if self.values.dtype.kind != "O":
            raise InputError(
                "The column does not hold integers.",
                where=f"{self.where}, column {self.name}",
                got=f"values of {self.values.dtype}",
                allowed="integers, or texts of digits",
                remedy="Write identifiers as integers of 64 bits or as texts; other numbers lose digits.",
                kind=ErrorKind.UNREADABLE_TABLE,
            )
        numbers = [int(text) if _INTEGER.fullmatch(text) else None for text in self.values]
        known = np.array([each is not None and _LEAST <= each <= _MOST for each in numbers], dtype=np.bool_)
        kept = [
            number if one and number is not None else 0 for number, one in zip(numbers, known, strict=True)
        ]
        if max(kept, default=0) <= np.iinfo(np.int64).max:
            return np.array(kept, dtype=np.int64), known & self.known
        known &= np.array(kept, dtype=np.object_) >= 0
        return np.array([max(each, 0) for each in kept], dtype=np.uint64), known & self.known

    def numbers(self) -> NDArray[np.float64]:
        """(n,) the values as float64; NaN where there is none and where a text is no number."""
        if self.values.dtype.kind != "O":
            return np.where(self.known, self.values.astype(np.float64), np.nan)
        return np.array([_number(text) for text in self.texts()], dtype=np.float64)

    def texts(self) -> list[str]:
        """The values as texts without blanks around them; empty where there is none."""
        pairs = zip(self.values.tolist(), self.known.tolist(), strict=True)
        return [str(value).strip() if known else "" for value, known in pairs]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
