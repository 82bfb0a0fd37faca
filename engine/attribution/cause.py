"""A cause: what most likely made a spectrum odd, and whether the instrument did."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.causes.estimate import BetterRedshift, UsualElsewhere
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
    other_class : class of another model than the spectrum's own, by which it is usual; empty for none.
    """

    name: str
    probability: float
    instrument: float
    other_class: str = ""

    def __str__(self) -> str:
        """For people."""
        if not self.name:
            return "not looked for by this model"
        name = cause_text(self.name, self.other_class)
        return f"{name}, {self.probability:.0%}; instrument, sky or reduction {self.instrument:.0%}"


def cause_text(name: str, other_class: str) -> str:
    """A cause's name in words, with the class by which the spectrum is usual."""
    words = name.replace("_", " ")
    return f"{words} ({other_class})" if other_class else words


NO_CAUSE = Cause("", math.nan, math.nan)
"""Of models that look for no causes."""


def cause_of(
    probabilities: NDArray[np.floating],
    better: BetterRedshift | None = None,
    elsewhere: UsualElsewhere | None = None,
) -> Cause:
    """From the probabilities of ``TEMPLATE_CAUSES``, in their order; the rest of 1 is unknown.

    They are finite, and hold where redshift and class are right. ``better`` tells of another redshift by the
    same model, ``elsewhere`` of another model; only the more probable of the two counts.
    """
    of_redshift = better.probability if better else 0.0
    of_model = elsewhere.probability if elsewhere else 0.0
    wrong = max(of_redshift, of_model)
    unknown = max(1.0 - float(probabilities.sum()), 0.0)
    names = (*TEMPLATE_CAUSES, UNKNOWN)
    every = {
        name: (1.0 - wrong) * probability
        for name, probability in zip(names, (*probabilities.tolist(), unknown), strict=True)
    }
    other = elsewhere if of_model > of_redshift else None
    every[other.cause if other else WRONG_REDSHIFT] = wrong
    name = max(every, key=lambda each: every[each])
    instrument = sum(
        probability for each, probability in every.items() if REALMS.get(each) not in (None, Realm.SOURCE)
    )
    of_class = other.spectral_class if other and name == other.cause else ""
    return Cause(name, every[name], instrument + 0.5 * every[UNKNOWN], of_class)
