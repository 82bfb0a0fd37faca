"""Quantities: what templates of causes know of themselves, and a spectrum with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity.

    Attributes
    ----------
    name : among ``QUANTITIES``; unit : of its values; empty for a number.
    meaning : for readers of a store.
    continuous : whether templates sample it, so that it may lie between them; else it is one of their values.
    """

    name: str
    unit: str
    meaning: str
    continuous: bool = True


WAVELENGTH = Quantity("wavelength", "Angstrom", "observed vacuum wavelength of what is odd")
FEATURE = Quantity(
    WAVELENGTH.name, WAVELENGTH.unit, "observed wavelength of a known feature", continuous=False
)
REDSHIFT = Quantity("redshift", "", "redshift of what is odd")
VELOCITY = Quantity("velocity", "km/s", "velocity against the source, or between components")
WIDTH = Quantity("width", "km/s", "full width at half maximum")
PERCENT = Quantity("percent", "%", "flux above the reconstruction, share of it")

QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {each.name: each for each in (WAVELENGTH, REDSHIFT, VELOCITY, WIDTH, PERCENT)}
)
"""All quantities by name, in the order of a store."""
