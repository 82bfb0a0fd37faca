"""Query columns: what conditions may name and answers may hold, as SQL over a catalogue's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from engine.attribution.cautions import Caution
from engine.catalogue.columns import OUTLIER, ROW, CatalogueColumn, catalogue_columns
from engine.catalogue.connection import literal
from engine.query.conditions.columns import ColumnKind, kind_of
from engine.query.conditions.condition import quoted
from engine.store.configuration import RunConfiguration
from engine.store.schema import FLAGS
from engine.surveys.identifiers import has_unsigned_identifiers
from models.causes.quantities import QUANTITIES
from models.row_status import RowStatus

PLACES, ESTIMATES = "places", "estimates"
"""Columns that are sentences of what several others hold."""

PLACE_LISTS = tuple(
    f"place_{name}s"
    for name in ("wavelength", "rest_wavelength", "width", "sign", "share", "line", "sigma", "pixel")
)
"""Lists of the fields of all places, one element per place, in the order of Place's fields."""

ESTIMATE_COLUMNS = tuple(f"estimate_{name}{part}" for name in QUANTITIES for part in ("", "_error"))


@dataclass(frozen=True, slots=True)
class QueryColumn:
    """One column.

    Attributes
    ----------
    name : its name.
    dtype : type in an answer, for pandas; ``"list"`` where a row has several values.
    sql : its value, of ``s`` (a spectrum), ``e`` (its latest explanation) and ``c`` (its cluster).
    spectra, explanations : columns of the catalogue that the value needs; clusters : whether it needs these.
    made_of : columns from which the answer makes it, where SQL does not.
    """

    name: str
    dtype: str
    sql: str
    spectra: tuple[str, ...] = ()
    explanations: tuple[str, ...] = ()
    clusters: bool = False
    made_of: tuple[str, ...] = ()

    @property
    def kind(self) -> ColumnKind | None:
        """What an expression may do with it; None where it may not name it."""
        if self.dtype == "list" or self.made_of:
            return None
        return ColumnKind.INTEGER if self.dtype in ("Int32", "Int64") else kind_of(self.dtype)


@dataclass(frozen=True)
class Joined:
    """SQL of columns that are joined from spectra, explanations and clusters.

    Attributes
    ----------
    columns : all of them by name, those that others are made of included.
    """

    columns: Mapping[str, QueryColumn] = field(default_factory=dict)

    @property
    def spectra(self) -> tuple[str, ...]:
        """Columns of spectra that are needed."""
        return tuple(dict.fromkeys(name for each in self.columns.values() for name in each.spectra))

    @property
    def explanations(self) -> tuple[str, ...]:
        """Columns of explanations that are needed."""
        return tuple(dict.fromkeys(name for each in self.columns.values() for name in each.explanations))

    @property
    def clusters(self) -> bool:
        """Whether clusters are needed."""
        return any(each.clusters for each in self.columns.values())

    @property
    def selected(self) -> str:
        """What a SELECT takes."""
        return ", ".join(f"{each.sql} AS {quoted(each.name)}" for each in self.columns.values() if each.sql)


def joined(names: Sequence[str], configuration: RunConfiguration) -> Joined:
    """These columns with those that they are made of."""
    known = query_columns(configuration)
    every = [part for name in names for part in (*known[name].made_of, name)]
    return Joined({name: known[name] for name in every})


@cache
def query_columns(configuration: RunConfiguration) -> Mapping[str, QueryColumn]:
    """All columns of a store's queries by name: those of the catalogue, and what is made of them."""
    found = {each.name: each for each in _of_spectra(configuration)}
    found |= {each.name: each for each in _of_explanations(configuration) if each.name not in found}
    found |= {each.name: each for each in _made(configuration)}
    return MappingProxyType(found)


@cache
def oddness_columns(configuration: RunConfiguration) -> frozenset[str]:
    """Columns that look, or may look, at what makes spectra odd: those not known before they are scored."""
    every = catalogue_columns("score", configuration)
    before = {*(each.name for each in every if _is_before(each)), *FLAGS}
    return frozenset(
        name
        for name, each in query_columns(configuration).items()
        if each.explanations or each.clusters or each.made_of or not before.issuperset(each.spectra)
    )


def _is_before(column: CatalogueColumn) -> bool:
    """Whether a column of spectra is known before these are scored."""
    return not column.path.startswith("scores/") or column.name in ("model", "normalisation")


def kinds(configuration: RunConfiguration) -> dict[str, ColumnKind]:
    """The columns that an expression may name."""
    every = {name: column.kind for name, column in query_columns(configuration).items()}
    return {name: kind for name, kind in every.items() if kind is not None}


def _of_spectra(configuration: RunConfiguration) -> Iterator[QueryColumn]:
    for column in catalogue_columns("score", configuration):
        yield _plain(column, f"s.{quoted(column.name)}", spectra=(column.name,))
    for name in FLAGS:
        yield QueryColumn(name, "bool", f"s.{quoted(name)}", (name,))


def _of_explanations(configuration: RunConfiguration) -> Iterator[QueryColumn]:
    for column in catalogue_columns("attribution", configuration):
        sql = f"e.{quoted(column.name)}"
        if column.is_list:
            name = f"{column.name.removesuffix('s')}s"
            yield QueryColumn(name, "list", sql, explanations=(column.name,))
        else:
            nothing = {"string": "''", "int32": "0", "uint16": "0", "int8": "-1"}.get(column.dtype)
            whole = f"coalesce({sql}, {nothing})" if nothing else sql
            yield _plain(column, whole, explanations=(column.name,))


def _plain(
    column: CatalogueColumn, sql: str, spectra: tuple[str, ...] = (), explanations: tuple[str, ...] = ()
) -> QueryColumn:
    dtype = "str" if column.dtype == "string" else column.dtype
    if column.name == OUTLIER:
        dtype = "Int64"
    return QueryColumn(column.name, dtype, sql, spectra, explanations)


def _made(configuration: RunConfiguration) -> Iterator[QueryColumn]:
    """Columns that are not of one array."""
    models = [model.name for model in configuration.models]
    yield QueryColumn("status", "str", _cases("s.status", _STATUS), ("status",))
    yield QueryColumn("model", "str", _cases("s.model", dict(enumerate(models))), ("model",))
    if has_unsigned_identifiers(configuration.grid):
        unsigned = (
            "CASE WHEN s.target_id = -1 THEN 0::UBIGINT WHEN s.target_id < 0 THEN "
            "(s.target_id::HUGEINT + 18446744073709551616)::UBIGINT ELSE s.target_id::UBIGINT END"
        )
        yield QueryColumn("target_id", "uint64", unsigned, ("target_id",))
    yield QueryColumn("stored_id", "int64", "s.target_id", ("target_id",))
    explained = "(e.explained_score IS NOT NULL AND NOT isnan(e.explained_score))"
    yield QueryColumn("explained", "bool", f"coalesce({explained}, false)", (), ("explained_score",))
    yield QueryColumn("cautions", "str", _labels("e.cautions"), (), ("cautions",))
    bits = f"CASE WHEN {explained} THEN e.cautions::INTEGER ELSE -1 END"
    yield QueryColumn("caution_bits", "int32", bits, (), ("cautions", "explained_score"))
    for name, (path, dtype, nothing) in _FIRST.items():
        sql = f"coalesce(e.{path}[1], {nothing})" if nothing else f"e.{path}[1]"
        yield QueryColumn(name, dtype, sql, (), (path,))
    flux = "CASE WHEN e.place_sign[1] > 0 THEN 'excess' WHEN e.place_sign[1] < 0 THEN 'deficit' ELSE '' END"
    yield QueryColumn("flux", "str", flux, (), ("place_sign",))
    yield QueryColumn("cluster", "Int32", "c.cluster", (), (), clusters=True)
    yield QueryColumn(PLACES, "str", "", made_of=PLACE_LISTS)
    yield QueryColumn(ESTIMATES, "str", "", made_of=ESTIMATE_COLUMNS)


_FIRST = {
    "place_wavelength": ("place_wavelength", "float64", ""),
    "place_rest_wavelength": ("place_rest_wavelength", "float64", ""),
    "place_width": ("place_width", "float64", ""),
    "share": ("place_share", "float64", ""),
    "line": ("place_line", "str", "''"),
    "sigma": ("place_sigma", "float32", ""),
    "pixels": ("place_pixels", "int32", "0"),
}
"""Columns of the first place: where from, type, what stands for none."""

_STATUS = {int(status): status.label for status in RowStatus}


def _cases(value: str, names: Mapping[int, str]) -> str:
    """SQL of the name of a number; empty for others."""
    cases = " ".join(f"WHEN {number} THEN {literal(name)}" for number, name in names.items())
    return f"CASE {value} {cases} ELSE '' END"


def _labels(bits: str) -> str:
    """SQL of the labels of cautions with a space between, lowest bit first."""
    every = ", ".join(
        f"CASE WHEN {bits} & {int(each)} <> 0 THEN {literal(each.label)} END" for each in Caution
    )
    return f"concat_ws(' ', {every})"


__all__ = [
    "ESTIMATES",
    "ESTIMATE_COLUMNS",
    "PLACES",
    "PLACE_LISTS",
    "ROW",
    "Joined",
    "QueryColumn",
    "joined",
    "kinds",
    "oddness_columns",
    "query_columns",
]
