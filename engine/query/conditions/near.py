"""Cone on the sky: spectra within an angle of a position, as a condition."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from engine.query.conditions.condition import Condition, quoted
from models.errors import ConfigurationError, ErrorKind

_MARGIN = 1e-9
"""By how much the box around a cone is wider than it: degrees, and a share of its width."""

_UNITS = {"deg": 1.0, "°": 1.0, "arcmin": 1 / 60, "'": 1 / 60, "arcsec": 1 / 3600, '"': 1 / 3600}
_RADIUS = re.compile(r"\s*(?P<number>[0-9.eE+-]+)\s*(?P<unit>[^\s0-9.]*)\s*")
_SEXAGESIMAL = re.compile(
    r"""\s*(?P<sign>[+-]?)(?P<whole>[0-9]{1,3})
    (?P<unit>[:hd\s])\s*(?P<minutes>[0-9]{1,2})
    (?:[:m\s]\s*(?P<seconds>[0-9]{1,2}(?:\.[0-9]*)?)s?|m)?\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Cone:
    """Positions at most ``radius`` away from one; all in degrees, ICRS."""

    ra: float
    dec: float
    radius: float

    def condition(self, ra: str = "ra", dec: str = "dec") -> Condition:
        """Of columns of positions in degrees, right ascension from 0 to 360; what has none is not in it.

        By the haversine formula, which is exact for small angles too. The box before it lets DuckDB pass over
        parts of files by their statistics.
        """
        box, limits = self._box()
        angle = (
            "TRY(pow(sin(radians({dec} - ?) / 2), 2)"
            " + ? * cos(radians({dec})) * pow(sin(radians({ra} - ?) / 2), 2))"
        )
        names = {"ra": quoted(ra), "dec": quoted(dec)}
        sql = f"{box} AND {angle} <= ?".format(**names)
        exact = (
            self.dec,
            math.cos(math.radians(self.dec)),
            self.ra,
            math.sin(math.radians(self.radius) / 2) ** 2,
        )
        return Condition(sql, (*limits, *exact), frozenset((ra, dec)))

    def _box(self) -> tuple[str, tuple[float, ...]]:
        low, high = self.dec - self.radius - _MARGIN, self.dec + self.radius + _MARGIN
        box = "{dec} BETWEEN ? AND ?"
        if low <= -90 or high >= 90:  # a pole is inside, and with it every right ascension
            return box, (low, high)
        sine = math.sin(math.radians(self.radius)) / math.cos(math.radians(self.dec))
        half = math.degrees(math.asin(min(sine, 1.0))) * (1 + _MARGIN) + _MARGIN
        west, east = self.ra - half, self.ra + half
        if west <= 0 or east >= 360:
            return f"{box} AND ({{ra}} >= ? OR {{ra}} <= ?)", (low, high, west % 360, east % 360)
        return f"{box} AND {{ra}} BETWEEN ? AND ?", (low, high, west, east)


def parse_cone(ra: str, dec: str, radius: str) -> Cone:
    """Of texts, e.g. ``150.1 2.2 5arcsec`` or ``10:00:24 +02:12:00 0.1deg``.

    Parameters
    ----------
    ra, dec : degrees, or sexagesimal: ``10:00:24`` and ``10h00m24s`` are hours of right ascension,
        ``150d06m`` are degrees.
    radius : a number with its unit: deg, arcmin or arcsec.

    Raises
    ------
    ConfigurationError : they are not; the radius has no unit; the position is not on the sky.
    """
    longitude = parse_degrees(ra, "right ascension", 15.0)
    latitude = parse_degrees(dec, "declination", 1.0)
    if not -180 <= longitude <= 360:
        raise _refused("That is no right ascension.", ra, "-180 to 360 degrees, 0h to 24h")
    if not -90 <= latitude <= 90:
        raise _refused("That is no declination.", dec, "-90 to 90 degrees")
    return Cone(longitude % 360, latitude, parse_radius(radius))


def parse_degrees(text: str, what: str, hour: float) -> float:
    """Degrees of a number, or of a sexagesimal text; ``hour`` is how many the unit of numbers with colons is.

    Raises
    ------
    ConfigurationError : the text is neither; the error names it by ``what``.
    """
    try:
        return float(text)
    except ValueError:
        match = _SEXAGESIMAL.fullmatch(text)
    allowed = "degrees such as 150.1, or sexagesimal such as 10:00:24.0 or -2d12m"
    if match is None or (match["unit"] == "h" and hour == 1.0):
        raise _refused(f"That is no {what}.", text, allowed)
    minutes, seconds = int(match["minutes"]), float(match["seconds"] or 0)
    if minutes >= 60 or seconds >= 60:
        raise _refused("Minutes and seconds are below 60.", text, allowed)
    size = (int(match["whole"]) + minutes / 60 + seconds / 3600) * (1.0 if match["unit"] == "d" else hour)
    return -size if match["sign"] == "-" else size


def parse_radius(text: str) -> float:
    """Degrees of a number with its unit: deg, arcmin or arcsec.

    Raises
    ------
    ConfigurationError : it has no unit, or is no angle above 0 and up to 180 degrees.
    """
    match = _RADIUS.fullmatch(text)
    allowed = "a number with deg, arcmin or arcsec, such as 5arcsec"
    unit = match["unit"] if match else ""
    if unit not in _UNITS:
        raise _refused("The radius has no unit that is known here.", text, allowed)
    try:
        radius = float(match["number"]) * _UNITS[unit] if match else math.nan
    except ValueError:
        radius = math.nan
    if not 0 < radius <= 180:
        raise _refused("The radius is no angle above 0.", text, f"{allowed}; up to 180deg")
    return radius


def _refused(what: str, got: str, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        what,
        where="--near",
        got=repr(got),
        allowed=allowed,
        remedy="A position is 150.1 2.2 or 10:00:24 +02:12:00, a radius 5arcsec.",
        kind=ErrorKind.SKY_POSITION,
    )
