"""Remarks on the exposures of a spectrum: why the list of them is empty, or not what the file has.

They are bits, because a spectrum may carry several. None of them keeps a spectrum from being scored.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray


class ExposureRemark(IntFlag):
    """One bit per remark. Bits are stable: they are stored, so never given to another."""

    NO_TABLE = 1
    NO_COLUMN = 2
    NOT_LISTED = 4
    LISTED_TWICE = 8

    @property
    def label(self) -> str:
        """The name of one remark, as shown to people and stored in ``flag_meanings``."""
        return f"exposures_{str(self.name).lower()}"

    @property
    def meaning(self) -> str:
        """One sentence on one remark."""
        return _MEANINGS[self]


_MEANINGS = {
    ExposureRemark.NO_TABLE: "the file has no table of exposures with TARGETIDs: the list is empty",
    ExposureRemark.NO_COLUMN: "the table of exposures lacks a column of integers: the list has -1 for it",
    ExposureRemark.NOT_LISTED: "the table of exposures does not have the target: the list is empty",
    ExposureRemark.LISTED_TWICE: "the table has an exposure of the target twice: the list has it once",
}


def counted_remarks(bits: NDArray[np.unsignedinteger]) -> tuple[tuple[str, int], ...]:
    """(label, spectra) for every remark in ``bits`` (n,), sorted by label."""
    counts = {each.label: int(np.count_nonzero(bits & each)) for each in ExposureRemark}
    return tuple(sorted((label, count) for label, count in counts.items() if count))
