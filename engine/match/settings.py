"""Settings of a match: what in the table names or places its objects, and which spectra are looked at."""

from __future__ import annotations

from dataclasses import dataclass

from engine.query.conditions.moc import Moc
from engine.query.conditions.near import Cone
from engine.query.settings import QuerySettings
from models.errors import ConfigurationError, ErrorKind

LARGEST_RADIUS = 10 / 60
"""Degrees. A fibre is 1.5 to 3 arcsec wide; the positions of some catalogues are good to minutes of arc."""


@dataclass(frozen=True)
class MatchSettings:
    """What is matched with what.

    Attributes
    ----------
    radius : degrees, of a match by position; None for one by name.
    id_column : column of names; empty for the usual names of columns.
    ra, dec : columns of positions; empty for the usual names.
    class_column : column of classes; empty for none.
    where, cone, moc : which of the store's spectra are looked at, as in a query; empty and None for all.
    top : how many of the oddest are compared with as many drawn from all; None for as many as outliers.

    Raises
    ------
    ConfigurationError : settings do not fit together, or one is out of its range.
    """

    radius: float | None = None
    id_column: str = ""
    ra: str = ""
    dec: str = ""
    class_column: str = ""
    where: str = ""
    cone: Cone | None = None
    moc: Moc | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        _ = self.selection  # checks top
        if self.radius is not None and not 0 < self.radius <= LARGEST_RADIUS:
            raise ConfigurationError(
                "The radius is too large for a match by position.",
                where="--near",
                got=f"{self.radius * 60:.6g} arcmin",
                allowed=f"above 0, up to {LARGEST_RADIUS * 60:g} arcmin",
                remedy="Take what positions are wrong by, for example 1arcsec.",
                kind=ErrorKind.MATCH_SETTINGS,
            )
        if self.radius is not None and self.id_column:
            raise _two_ways("--id and --near")
        if self.radius is None and (self.ra or self.dec):
            raise _two_ways("--ra or --dec without --near")
        if bool(self.ra) != bool(self.dec):
            raise ConfigurationError(
                "One column of a position is named, the other is not.",
                where="--ra, --dec",
                got=f"{self.ra or 'nothing'}, {self.dec or 'nothing'}",
                allowed="both, or neither",
                remedy="Name both columns.",
                kind=ErrorKind.MATCH_SETTINGS,
            )

    @property
    def selection(self) -> QuerySettings:
        """The same spectra for a query."""
        return QuerySettings(where=self.where, near=self.cone, moc=self.moc, top=self.top)


def _two_ways(got: str) -> ConfigurationError:
    return ConfigurationError(
        "A match is either by name or by position.",
        where="--id, --near",
        got=got,
        allowed="--id COLUMN; or --near RADIUS, with --ra and --dec where their names are unusual",
        remedy="Leave one of them out.",
        kind=ErrorKind.MATCH_SETTINGS,
    )
