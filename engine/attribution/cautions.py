"""Cautions: reasons not to read an explanation like the others.

They are bits, because an explanation may carry several. What each is decided by is in
:mod:`engine.attribution.caution_criteria`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigurationError, ErrorKind


class Caution(IntFlag):
    """One bit per caution. Bits are stable: they are stored, so never given to another."""

    UNIFORM = 1
    EDGE = 2
    NO_RESPONSE = 4
    BASELINES_DISAGREE = 8
    MASKED = 16
    SKY_LINES = 32
    OUTSIDE_RANGE = 64
    ODD_BASELINES = 128

    @property
    def label(self) -> str:
        """The name of one caution, as shown to people and stored in ``flag_meanings``."""
        return str(self.name).lower()

    @property
    def meaning(self) -> str:
        """One sentence on one caution, for tables and reports."""
        return _MEANINGS[self]

    @property
    def remedy(self) -> str:
        """What a reader of the explanation can do."""
        return _REMEDIES[self]


NOTHING = Caution(0)
"""What an explanation carries that has no caution."""

ANY = "any"
"""Stands for all cautions where a query names one."""

_MEANINGS = {
    Caution.UNIFORM: "the attribution is spread over the whole spectrum: no place in it stands out",
    Caution.EDGE: "the attribution peaks where the spectrum, or what the baselines cover, ends",
    Caution.NO_RESPONSE: "no piece of the spectrum, of any width, explains its score",
    Caution.BASELINES_DISAGREE: "at no scale do the baselines agree on what is odd where it is oddest",
    Caution.MASKED: "the attribution lies at masked pixels, or most of the spectrum is masked",
    Caution.SKY_LINES: "the attribution lies on lines of the night sky, or where noise rises sharply",
    Caution.OUTSIDE_RANGE: "redshift or S/N are outside the range that the model was calibrated on",
    Caution.ODD_BASELINES: "the baselines are as odd as the spectrum: the map does not explain its score",
}

_REMEDIES = {
    Caution.UNIFORM: "Do not read the peak: check redshift, class and flux calibration as a whole.",
    Caution.EDGE: "Look at the spectrum there: noise and calibration end badly at edges.",
    Caution.NO_RESPONSE: "Read the map as the largest of many small parts: most of the oddness lies in "
    "combinations of distant pieces, or in a feature wider than any piece.",
    Caution.BASELINES_DISAGREE: "Explain it again with more baselines before reading the map.",
    Caution.MASKED: "Look at the mask first: cosmic rays, bad columns, a missing arm.",
    Caution.SKY_LINES: "Suspect sky subtraction; compare with spectra of the same exposure.",
    Caution.OUTSIDE_RANGE: "Distrust score and map alike, or use a model made for such spectra.",
    Caution.ODD_BASELINES: "Do not read the map: the spectrum is usual, or the model does not "
    "know noise-free spectra of this redshift and S/N.",
}


def cautions_in(bits: int) -> tuple[Caution, ...]:
    """The cautions among ``bits``, lowest first; bits that this version does not know are left out."""
    return tuple(caution for caution in Caution if bits & caution)


def counted(bits: NDArray[np.unsignedinteger]) -> tuple[tuple[str, int], ...]:
    """(label, explanations) for every caution in ``bits`` (n,), sorted by label."""
    counts = {each.label: int(np.count_nonzero(bits & each)) for each in Caution}
    return tuple(sorted((label, count) for label, count in counts.items() if count))


@dataclass(frozen=True, slots=True)
class CautionFilter:
    """Explanations that carry at least one bit of each of ``wanted`` and no bit of ``unwanted``."""

    wanted: tuple[int, ...]
    unwanted: int

    def matches(self, bits: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) bool for explanations with these cautions (n,)."""
        keep = (bits & self.unwanted) == 0
        for mask in self.wanted:
            keep &= (bits & mask) != 0
        return np.asarray(keep)


def parse_cautions(wanted: tuple[str, ...], unwanted: tuple[str, ...]) -> CautionFilter:
    """The filter that labels describe; hyphens do for underscores, ``any`` stands for all of them.

    Raises
    ------
    ConfigurationError : there is no caution of that label.
    """
    return CautionFilter(
        tuple(_named(name, "--caution") for name in wanted),
        reduce(or_, (_named(name, "--without-caution") for name in unwanted), 0),
    )


def _named(name: str, option: str) -> int:
    label = name.strip().lower().replace("-", "_")
    if label == ANY:
        return sum(Caution)
    for caution in Caution:
        if caution.label == label:
            return int(caution)
    raise ConfigurationError(
        "There is no caution of that name.",
        where=option,
        got=name,
        allowed=", ".join((*(caution.label for caution in Caution), ANY)),
        remedy="Choose one of the allowed names; docs/cautions.md says what they mean.",
        kind=ErrorKind.UNKNOWN_CAUTION,
    )
