"""Place filter: where an explanation has to have a place, given by a line's name or a wavelength."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigurationError, ErrorKind
from models.lines import LINES, line_named

LINE_TOLERANCE = 15.0
"""Angstrom within which a place coincides with a line, where no other tolerance is given."""

_SYNTAX = re.compile(r"^\s*(?P<observed>obs:)?\s*(?P<what>.+?)\s*(?:(?:\+-|±)\s*(?P<tolerance>[0-9.]+)\s*)?$")
_ALLOWED = "a line such as Hα, halpha, OIII, '[O III] 5008', or Angstrom such as 5008, 5008+-5, obs:5579"


@dataclass(frozen=True, slots=True)
class PlaceFilter:
    """Places within ``tolerance`` of ``wavelength``, both in vacuum Angstrom of ``frame``."""

    wavelength: float
    tolerance: float
    frame: Literal["rest", "observed"]

    def matches(self, observed: NDArray[np.float64], redshift: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) bool for spectra at ``redshift`` with places at ``observed`` (n, P) Angstrom, NaN if none.

        One place that matches will do.
        """
        wavelength = observed if self.frame == "observed" else observed / (1.0 + redshift)[:, None]
        return np.asarray((np.abs(wavelength - self.wavelength) <= self.tolerance).any(axis=1))


def parse_place(text: str) -> PlaceFilter:
    """The filter that ``text`` describes: ``[obs:]LINE-OR-ANGSTROM[+-TOLERANCE]``.

    ``Hα``, ``OIII``, ``5008`` and ``5008+-5`` are rest-frame, ``obs:5579`` is where a pixel sits on
    the instrument.

    Raises
    ------
    ConfigurationError : no such line, or a wavelength that makes no sense.
    """
    match = _SYNTAX.match(text)
    if match is None:
        raise _not_a_place(text)
    tolerance = _number(match["tolerance"] or str(LINE_TOLERANCE))
    frame: Literal["rest", "observed"] = "observed" if match["observed"] else "rest"
    wavelength = _number(match["what"].removesuffix("Å").removesuffix("A"))
    if math.isnan(wavelength):
        line = line_named(match["what"])
        if line is None:
            raise _unknown_line(match["what"], "--place")
        if frame == "observed":
            raise ConfigurationError(
                "A line's name does not give an observed wavelength.",
                where="--place",
                got=text,
                allowed="obs: with a wavelength in Angstrom, e.g. obs:5579",
                remedy="Leave out obs: to find the line in the rest frame.",
                kind=ErrorKind.PLACE_FILTER,
            )
        wavelength = line.wavelength
    if not (0.0 < wavelength < math.inf and 0.0 < tolerance < math.inf):
        raise _not_a_place(text)
    return PlaceFilter(wavelength, tolerance, frame)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _not_a_place(text: str) -> ConfigurationError:
    return ConfigurationError(
        "That is neither a line nor a wavelength with a tolerance.",
        where="--place",
        got=repr(text),
        allowed=_ALLOWED,
        remedy="Give a line's name, or a vacuum wavelength in Angstrom.",
        kind=ErrorKind.PLACE_FILTER,
    )


def parse_line(text: str) -> str:
    """Name, as it stands in stores, of the line that ``text`` names.

    Raises
    ------
    ConfigurationError : there is no such line.
    """
    line = line_named(text)
    if line is None:
        raise _unknown_line(text, "--line")
    return line.name


def _unknown_line(name: str, option: str) -> ConfigurationError:
    plain = {_plain(line.name): line.name for line in LINES}
    near = difflib.get_close_matches(_plain(name), plain, n=4, cutoff=0.4)
    suggestion = ", ".join(plain[match] for match in near)
    return ConfigurationError(
        "There is no line of that name in whyspec's list.",
        where=option,
        got=name,
        allowed=", ".join(line.name for line in LINES),
        remedy=(f"Did you mean {suggestion}? " if near else "")
        + "Any rest wavelength in Angstrom works as well: --place 5008.24.",
        kind=ErrorKind.UNKNOWN_LINE,
    )


def _plain(name: str) -> str:
    text = name.lower()
    for greek, latin in (("α", "alpha"), ("β", "beta"), ("γ", "gamma"), ("δ", "delta")):
        text = text.replace(greek, latin)
    return "".join(letter for letter in text if letter.isalnum())
