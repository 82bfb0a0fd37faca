"""Meanings of columns: units and descriptions of what answers hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engine.store.schema import ARRAYS
from models.causes.quantities import QUANTITIES

IDENTIFIERS = frozenset({"target_id", "stored_id", "healpix_29"})
"""Columns of integers beyond 2**53."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a column of an answer says; ``unit`` is empty where there is none."""

    unit: str
    description: str


FOREIGN_UNITS = frozenset({"nat", "sigma", "%"})
"""Units that not all standards have; they are part of the description."""


def units_of(names: Iterable[object]) -> dict[str, str]:
    """Units of the columns that have one which astropy knows."""
    units = {str(name): meaning_of(str(name)).unit for name in names}
    return {name: unit for name, unit in units.items() if unit and unit not in FOREIGN_UNITS}


def meaning_of(name: str) -> Meaning:
    """The meaning of a column; without words where nobody has written one."""
    return _MEANINGS.get(name, Meaning("", ""))


def _of_arrays() -> dict[str, Meaning]:
    """The store's own words. Units that depend on the run, of maps, are of no column."""
    return {
        each.name: Meaning("" if each.unit == "1" else each.unit, each.description)
        for each in reversed(ARRAYS)  # of the same name in two groups, that of spectra
        if isinstance(each.unit, str)
    }


def _of_estimates() -> dict[str, Meaning]:
    values = {f"estimate_{each.name}": Meaning(each.unit, each.meaning) for each in QUANTITIES.values()}
    errors = {
        f"estimate_{each.name}_error": Meaning(
            each.unit, f"standard deviation of estimate_{each.name}; 0 where only some values can be"
        )
        for each in QUANTITIES.values()
    }
    return values | errors


_MEANINGS: Mapping[str, Meaning] = MappingProxyType(
    {
        **_of_arrays(),
        **_of_estimates(),
        "target_id": Meaning("", "TARGETID of DESI, SPECOBJID of SDSS, as the survey's catalogue has it"),
        "stored_id": Meaning("", "the same 64 bits as a signed integer"),
        "model": Meaning("", "model that the spectrum was given to; empty for none"),
        "status": Meaning("", "whether the spectrum has a score, and why not"),
        "explained": Meaning("", "whether there is an explanation"),
        "estimates": Meaning("", "what the cause measured, in words"),
        "place_wavelength": Meaning("Angstrom", "observed wavelength of the middle of the first place"),
        "place_rest_wavelength": Meaning("Angstrom", "the same in the rest frame"),
        "place_width": Meaning("Angstrom", "observed width of the first place"),
        "flux": Meaning("", "excess or deficit of flux at the first place, against the reconstruction"),
        "share": Meaning("", "share of the combined map above its floor that the first place has"),
        "line": Meaning("", "line that the first place is of; empty for none"),
        "sigma": Meaning("sigma", "residual over error of the whole first place, without its sign"),
        "pixels": Meaning("", "good pixels of the first place"),
        "places": Meaning("", "all places in words, that of the highest peak first"),
        "cautions": Meaning("", "what tells that the explanation is not to be trusted; empty for nothing"),
        "caution_bits": Meaning("", "the same as bits; -1 where there is no explanation"),
        "cluster": Meaning("", "number of the cluster of what makes the spectrum odd"),
        "rank": Meaning("", "place among all scored spectra that a match looked at; 1 is the oddest"),
        "table_class": Meaning("", "class of the matched object in the user's table"),
        "table_id": Meaning("", "what the user's table calls the matched object"),
        "table_row": Meaning("", "row of the matched object in the user's table, counted from 0"),
        "separation": Meaning("arcsec", "angle between the spectrum and the matched object"),
    }
)
