"""Estimates: what a model measures of a cause in one spectrum.

Needs no torch: who reads a store knows estimates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.causes.quantities import Quantity

if TYPE_CHECKING:
    from torch import Tensor


_MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Estimate:
    """One quantity of a cause: ``value`` and its standard deviation ``error``, in the quantity's unit."""

    quantity: Quantity
    value: float
    error: float

    def __str__(self) -> str:
        """For people: the error with two digits, the value with as many decimals."""
        name, unit = self.quantity.name, self.quantity.unit.replace("Angstrom", "Å")
        if not (math.isfinite(self.error) and self.error > 0):
            return f"{name} {self.value:.1f} {unit}".strip()
        decimals = min(max(1 - math.floor(math.log10(self.error)), 0), _MOST_DECIMALS)
        return f"{name} {self.value:.{decimals}f} ± {self.error:.{decimals}f} {unit}".strip()


@dataclass(frozen=True, slots=True)
class BetterRedshift:
    """The redshift at which a spectrum is most usual.

    Attributes
    ----------
    redshift : of it; error : standard deviation of an even spread over one step of the search.
    probability : that the spectrum's own redshift is what is wrong.
    """

    redshift: float
    error: float
    probability: float


@dataclass(frozen=True, slots=True)
class UsualRedshift:
    """The redshift at which a spectrum of unknown redshift is most usual.

    Attributes
    ----------
    redshift : of it; error : standard deviation of an even spread over one step of the search.
    tail_probability : there; trials : redshifts that were tried until it was found.
    """

    redshift: float
    error: float
    tail_probability: float
    trials: int


@dataclass(frozen=True, slots=True)
class UsualElsewhere:
    """Another model by which a spectrum is more usual than by its own.

    Attributes
    ----------
    cause : ``ANOTHER_CLASS``, or ``WRONG_REDSHIFT`` by a model of the same class for other redshifts.
    spectral_class : that the other model is for.
    redshift : at which the spectrum is most usual to it; error : of it, standard deviation.
    probability : that this is why the spectrum is odd.
    """

    cause: str
    spectral_class: str
    redshift: float
    error: float
    probability: float


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a model measures of one cause in one spectrum.

    Attributes
    ----------
    template : (N,), the best template times its amplitude, on the scale of the flux; None of a cause that has
        no template.
    estimates : of the cause's quantities.
    not_testable : names of all causes of which the spectrum can show no template.
    """

    template: Tensor | None = None
    estimates: tuple[Estimate, ...] = ()
    not_testable: tuple[str, ...] = ()
