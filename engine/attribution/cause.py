"""A cause: what most likely made a spectrum odd, and whether the instrument did."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.causes.names import REALMS, TEMPLATE_CAUSES, UNKNOWN, WRONG_REDSHIFT, Realm


@dataclass(frozen=True)
class Cause:
    """The likeliest cause of a spectrum's score.

    Attributes
    ----------
    name : among ``CAUSES``, or ``UNKNOWN``; empty of a model that looks for none.
    probability : that it is this one, 0 to 1.
    instrument : the probability of all causes of the instrument, the sky and the reduction; of what is
        unknown, half counts.
    """

    name: str
    probability: float
    instrument: float

    def __str__(self) -> str:
        """For people."""
        if not self.name:
            return "not looked for by this model"
        name = self.name.replace("_", " ")
        return f"{name}, {self.probability:.0%}; instrument, sky or reduction {self.instrument:.0%}"


NO_CAUSE = Cause("", math.nan, math.nan)
"""Of models that look for no causes."""


def cause_of(probabilities: NDArray[np.floating], wrong_redshift: float = 0.0) -> Cause:
    """From the probabilities of ``TEMPLATE_CAUSES``, in their order; the rest of 1 is unknown.

    They are finite, and hold for a redshift that is right: ``wrong_redshift`` is the probability of another.
    """
    unknown = max(1.0 - float(probabilities.sum()), 0.0)
    names = (*TEMPLATE_CAUSES, UNKNOWN)
    every = {
        name: (1.0 - wrong_redshift) * probability
        for name, probability in zip(names, (*probabilities.tolist(), unknown), strict=True)
    }
    every[WRONG_REDSHIFT] = wrong_redshift
    name = max(every, key=lambda each: every[each])
    instrument = sum(
        probability for each, probability in every.items() if REALMS.get(each) not in (None, Realm.SOURCE)
    )
    return Cause(name, every[name], instrument + 0.5 * every[UNKNOWN])
