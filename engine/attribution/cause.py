"""A cause: what most likely made a spectrum odd, and whether the instrument did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.causes.names import CAUSES, REALMS, UNKNOWN, Realm


@dataclass(frozen=True)
class Cause:
    """The likeliest cause of a spectrum's score.

    Attributes
    ----------
    name : among ``CAUSES``, or ``UNKNOWN``.
    probability : its share of the score, 0 to 1.
    instrument : the share of all causes of the instrument, the sky and the reduction; of what is unknown,
        half counts.
    """

    name: str
    probability: float
    instrument: float

    def __str__(self) -> str:
        """For people."""
        name = self.name.replace("_", " ")
        return f"{name}, {self.probability:.0%}; instrument, sky or reduction {self.instrument:.0%}"


def cause_of(shares: NDArray[np.floating]) -> Cause:
    """From the causes' shares of a score, in the order of ``CAUSES``; the rest of 1 is unknown."""
    unknown = max(1.0 - float(shares.sum()), 0.0)
    every = dict(zip((*CAUSES, UNKNOWN), (*shares.tolist(), unknown), strict=True))
    name = max(every, key=lambda each: every[each])
    instrument = sum(share for each, share in every.items() if REALMS.get(each) not in (None, Realm.SOURCE))
    return Cause(name, every[name], instrument + 0.5 * unknown)
