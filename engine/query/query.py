"""Query of a store: spectra by identity, by what is known of them, and by what makes them odd."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.attribution.explanation import stored_estimates
from engine.attribution.places import stored_places
from engine.catalogue.columns import OUTLIER
from engine.catalogue.reading import Catalogue, CatalogueTables
from engine.clustering.stored import ReadClustering, read_store_clustering
from engine.query.conditions.condition import Condition, all_of, quoted
from engine.query.named_rows import names_of
from engine.query.query_columns import (
    ESTIMATE_COLUMNS,
    ESTIMATES,
    PLACE_LISTS,
    PLACES,
    ROW,
    QueryColumn,
    joined,
    query_columns,
)
from engine.query.selection import (
    condition_of_expression,
    condition_of_status,
    conditions_on_oddness,
    conditions_on_spectra,
)
from engine.query.settings import (
    DEFAULT_CLUSTERING,
    QuerySettings,
    parse_probability_range,
    parse_redshift_range,
    parse_snr_range,
)
from engine.spectra.observation import OBSERVATION_COLUMNS
from engine.spectra.rows import COLUMNS as ROW_COLUMNS
from engine.spectra.rows import ROW_DTYPE
from engine.store.configuration import RunConfiguration
from engine.store.reading import StoreView
from engine.surveys.identifiers import UNKNOWN, shown_identifiers, stored_identifiers
from engine.surveys.row_names import IDENTIFIER, KEY, Name, NamedBy, columns_of
from models.errors import ConfigurationError, ErrorKind, InputError
from models.secrets import redacted_url

__all__ = [
    "COLUMNS",
    "NOT_IN_STORE",
    "QuerySettings",
    "answer",
    "answer_in_parts",
    "count",
    "parse_probability_range",
    "parse_redshift_range",
    "parse_snr_range",
    "query",
]

COLUMNS = (
    "key",
    "target_id",
    "redshift",
    "spectype",
    "model",
    "score",
    "tail_probability",
    "tail_uncertainty",
    "snr",
    "explained",
    "cause",
    "cause_probability",
    "instrument_probability",
    "other_class",
    ESTIMATES,
    *ESTIMATE_COLUMNS,
    "not_testable",
    "place_wavelength",
    "place_rest_wavelength",
    "place_width",
    "flux",
    "share",
    "line",
    "sigma",
    "pixels",
    "trials",
    PLACES,
    "cautions",
    "cluster",
    "ra",
    "dec",
    *OBSERVATION_COLUMNS,
    "source",
    "status",
    "gone",
)
"""Columns of a query's answer where no others are asked for, in order."""

NOT_IN_STORE = "not_in_store"
"""Status of a TARGETID or key that was asked for and that no row has."""

_FEW = 32
"""Names for which filters are looked at: among more, each part of a large catalogue has some."""

_ODDEST_FIRST = ("tail_probability", "score:desc")


def query(url: str, settings: QuerySettings) -> pd.DataFrame:
    """Committed, non-superseded spectra that fulfil the settings, oddest first: by rising tail probability.

    Returns a frame with the columns :data:`COLUMNS`, or those asked for. ``target_id`` is what the survey's
    catalogue has, int64 or (SDSS) uint64, and was never a float; ``cluster`` is a nullable integer; unknown
    numbers are NaN. ``explained`` is true where there is an explanation; ``place_wavelength`` to ``line`` are
    of its first place and are empty where its map is uniform; ``places`` is a text of all of them.
    ``estimates`` is a text of what the cause measured, ``estimate_redshift`` and so on are its numbers.
    Causes in ``not_testable`` have no template that the spectrum could show. ``sigma`` and ``pixels`` are of
    the first place, ``trials`` of the spectrum, see :mod:`engine.attribution.significance`.
    ``cautions`` are the labels of its cautions with a space between. ``model`` is the name of the model that
    the spectrum was given to, empty where none was. ``gone`` is true where the file has vanished from its
    release: such rows are kept and found like all others. Asked-for TARGETIDs and keys that the store does
    not have come last with status ``not_in_store``, whatever else is asked for.

    Raises
    ------
    InputError : there is no store, or no such cluster, clustering or set of explanations.
    ConfigurationError : there is no such column, or an expression is none.
    StoreError : the store is damaged, or its catalogue.
    """
    return answer(StoreView.open(url), settings)


def answer(view: StoreView, settings: QuerySettings) -> pd.DataFrame:
    """What :func:`query` answers, from a view of the store."""
    view = _with_set(view, settings)
    return _answered(view, settings, lambda: _chosen_clustering(view, settings))


def answer_in_parts(
    view: StoreView, settings: QuerySettings, parts: Iterable[Condition]
) -> Iterator[pd.DataFrame]:
    """What :func:`answer` finds of those that the store has, one frame per part, in the order of its rows.

    So an answer of any length is read with the memory of one part.

    Parameters
    ----------
    parts : conditions on columns of the store of which each spectrum fulfils one, or none.
    """
    view = _with_set(view, settings)
    with _question(view, settings, lambda: _chosen_clustering(view, settings)) as question:
        yield from question.parts(parts)


def find(view: StoreView, settings: QuerySettings, clustering: ReadClustering | None) -> pd.DataFrame:
    """What :func:`query` answers, from a view with the set of explanations and the clustering asked for.

    ``clustering`` is ``None`` where there is none.

    Raises
    ------
    InputError : there is no such cluster.
    """
    return _answered(view, settings, lambda: clustering)


def _answered(view: StoreView, settings: QuerySettings, clustering: _GetClustering) -> pd.DataFrame:
    with _question(view, settings, clustering) as question:
        return question.answer()


def count(view: StoreView, settings: QuerySettings, *conditions: Condition) -> int:
    """How many spectra :func:`answer` finds of those that the store has, whatever ``top`` is.

    Of these only such as fulfil the conditions, on query columns, too.
    """
    view = _with_set(view, settings)
    with _question(view, settings, lambda: _chosen_clustering(view, settings)) as question:
        return question.count(conditions)


def _with_set(view: StoreView, settings: QuerySettings) -> StoreView:
    """The view with the set of explanations that is asked for; as it is where none is named."""
    return view.with_explanation(settings.explanation) if settings.explanation else view


_GetClustering = Callable[[], ReadClustering | None]
"""Reads the clustering that is asked for, where a query needs one; gives None where there is none."""


@contextmanager
def _question(view: StoreView, settings: QuerySettings, clustering: _GetClustering) -> Iterator[_Question]:
    """The question that settings ask, over the parts of the catalogue that may have what is asked for."""
    names = _names_of(settings, view.configuration)
    catalogue = Catalogue.of(view)
    if 0 < sum(map(len, names)) <= _FEW and all(given.num_columns == 1 for given in names):
        catalogue = catalogue.holding([str(name) for given in names for name in given.column(0).to_pylist()])
    with catalogue.tables() as tables:
        yield _Question(tables, view, settings, names, clustering)


@dataclass(frozen=True)
class _Asked:
    """Spectra that are asked for by name.

    Attributes
    ----------
    condition : on ``row``: those that the store has; among : table of these rows, empty where none are asked.
    absent : names that it has not, by columns that hold such names, in the order in which they were given.
    """

    condition: Condition
    among: str = ""
    absent: tuple[pa.Table, ...] = ()


class _Question:
    """One query of the tables of a catalogue."""

    def __init__(
        self,
        tables: CatalogueTables,
        view: StoreView,
        settings: QuerySettings,
        named: Sequence[pa.Table],
        clustering: _GetClustering,
    ) -> None:
        self._tables, self._view, self._settings = tables, view, settings
        self._configuration = view.configuration
        self._named, self._get_clustering = named, clustering
        self._names = settings.columns or COLUMNS
        for name in self._names:
            self._column(name, "--columns")

    def answer(self) -> pd.DataFrame:
        """The answer's frame."""
        asked = self._asked()
        if self._settings.top is not None and not self._settings.outliers_only:
            asked = self._first(asked)
        limit = "" if self._settings.top is None else f" LIMIT {self._settings.top}"
        frame = self._found(asked, self._condition(asked), f"{self._by}{limit}")
        if not any(map(len, asked.absent)):
            return frame
        return pd.concat([frame, self._absent(asked)], ignore_index=True)

    def parts(self, conditions: Iterable[Condition]) -> Iterator[pd.DataFrame]:
        """The frames of what also fulfils each of these conditions."""
        asked = self._asked()
        if self._settings.top is not None:
            asked = self._first(asked)
        for each in conditions:
            yield self._found(asked, all_of((self._condition(asked), each)), ROW)

    def _found(self, asked: _Asked, condition: Condition, order: str) -> pd.DataFrame:
        """The answer's columns of what fulfils a condition, in an order."""
        parts = [part for name in self._names for part in (*self._column(name).made_of, name)]
        wanted = [name for name in dict.fromkeys(parts) if self._column(name).sql]
        needed = [*wanted, *self._order, *condition.columns, ROW]
        selected = ", ".join(map(quoted, wanted))
        sql = (
            f"SELECT {selected} FROM ({self._joined(needed, asked)}) AS found WHERE {condition.sql} "
            f"ORDER BY {order}"
        )
        return self._frame(self._tables.fetch(sql, condition.parameters))

    def _first(self, asked: _Asked) -> _Asked:
        """The first of what is asked for, found by the few columns that decide, before all are read."""
        condition = self._condition(asked)
        columns = self._joined([*self._order, *condition.columns, "stored_id", ROW], asked)
        found = self._tables.fetch(
            f"SELECT {ROW}, stored_id AS target_id FROM ({columns}) AS found WHERE {condition.sql} "
            f"ORDER BY {self._by} LIMIT {self._settings.top}",
            condition.parameters,
        )
        return self._among(found, asked.absent)

    @property
    def _by(self) -> str:
        """SQL of the order that is asked for."""
        return ", ".join([*self._order.values(), ROW])

    @cached_property
    def _order(self) -> dict[str, str]:
        """SQL of the order, by column."""
        order = [each.partition(":") for each in self._settings.order or _ODDEST_FIRST]
        return {
            name: f"{quoted(self._column(name, '--order').name)} {_direction(name, end)}"
            for name, _, end in order
        }

    def count(self, conditions: Sequence[Condition] = ()) -> int:
        """How many spectra there are that fulfil these conditions, too."""
        asked = self._asked()
        condition = all_of((self._condition(asked), *conditions))
        columns = self._joined([*condition.columns, ROW], asked)
        sql = f"SELECT count(*) FROM ({columns}) AS found WHERE {condition.sql}"
        return int(self._tables.fetch(sql, condition.parameters).column(0)[0].as_py())

    def _condition(self, asked: _Asked) -> Condition:
        return all_of(
            (
                *conditions_on_spectra(self._settings),
                *conditions_on_oddness(self._settings),
                *condition_of_status(self._settings),
                *condition_of_expression(self._settings, self._configuration),
                asked.condition,
            )
        )

    def _joined(self, names: Sequence[str], asked: _Asked) -> str:
        """A SELECT of columns of what is looked at."""
        columns = joined(list(dict.fromkeys(names)), self._configuration)
        tables = self._tables
        spectra = tables.spectra(columns.spectra, outliers_only=self._settings.outliers_only)
        sql = f"SELECT {columns.selected} FROM ({spectra}) AS s"
        if columns.explanations or columns.clusters:
            explained = tables.explanations(columns.explanations, asked.among)
            sql += f" LEFT JOIN ({explained}) AS e ON s.{ROW} = e.{ROW}"
        if columns.clusters:
            sql += f" LEFT JOIN {tables.register(self._labels())} AS c ON c.{OUTLIER} = e.{OUTLIER}"
        return sql

    def _labels(self) -> pa.Table:
        """Clusters of explanations that have one."""
        clustering = self._get_clustering()
        _check_cluster(self._view, self._settings, clustering)
        if clustering is None:
            return pa.table({OUTLIER: pa.array([], pa.int64()), "cluster": pa.array([], pa.int32())})
        labels = clustering.labels[clustering.labels >= 0]
        numbers = labels.index.to_numpy(np.int64)
        return pa.table({OUTLIER: numbers, "cluster": labels.to_numpy(np.int32)})

    def _asked(self) -> _Asked:
        """Which of the spectra that are asked for by name there are."""
        settings, tables, names = self._settings, self._tables, self._named
        if not names:
            return _Asked(all_of(()))
        needed = list(dict.fromkeys([IDENTIFIER, *(name for given in names for name in given.column_names)]))
        current = "" if settings.superseded else "AND NOT superseded"
        selects = []
        for given in names:
            spectra = tables.spectra((*needed, "superseded"), outliers_only=False)
            columns, table = ", ".join(given.column_names), tables.register(given)
            selects.append(
                f"SELECT {', '.join((ROW, *needed))} FROM ({spectra}) AS s "
                f"WHERE ({columns}) IN (SELECT {columns} FROM {table}) {current}"
            )
        found = tables.fetch(" UNION ".join(selects))
        absent = (given.join(found, given.column_names, join_type="left anti") for given in names)
        return self._among(found, tuple(absent))

    def _among(self, found: pa.Table, absent: tuple[pa.Table, ...]) -> _Asked:
        """These spectra, by their rows and TARGETIDs."""
        there = self._tables.register(found)
        # By TARGETID, by which files are sorted, and by row, because several spectra may have one.
        sql = f"stored_id IN (SELECT target_id FROM {there}) AND {ROW} IN (SELECT {ROW} FROM {there})"
        return _Asked(Condition(sql, (), frozenset({ROW, "stored_id"})), there, absent)

    def _frame(self, found: pa.Table) -> pd.DataFrame:
        """The answer's columns of what was found."""
        data: dict[str, object] = {}
        for name in self._names:
            if name == PLACES:
                data[name] = _place_texts(found)
            elif name == ESTIMATES:
                data[name] = _estimate_texts(found)
            elif name == "source":
                data[name] = _redacted(found[name])
            else:
                column = found[name].to_pandas()
                data[name] = column.array if column.dtype == "str" else column.to_numpy(copy=True)
        frame = pd.DataFrame(data, index=pd.RangeIndex(found.num_rows))
        types, now = self._types, frame.dtypes
        return frame.astype({name: kind for name, kind in types.items() if now[name] != kind})

    def _absent(self, asked: _Asked) -> pd.DataFrame:
        """Rows of the answer for what was asked for and is not there."""
        ids: list[int] = []
        keys: list[str] = []
        for absent in asked.absent:
            columns = [column.to_pylist() for column in absent.columns]
            named = absent.column_names
            ids += columns[0] if named == [IDENTIFIER] else [UNKNOWN] * absent.num_rows
            texts = ["-".join(map(str, each)) for each in zip(*columns, strict=True)]
            keys += [""] * absent.num_rows if named == [IDENTIFIER] else texts
        frame = pd.DataFrame(
            {
                name: [_UNKNOWN.get(name, _NOTHING.get(dtype, np.nan))] * len(ids)
                for name, dtype in self._types.items()
            }
        )
        known = {
            "key": keys,
            "target_id": shown_identifiers(self._configuration.grid, np.array(ids, np.int64)),
            "status": [NOT_IN_STORE] * len(ids),
        }
        frame = frame.assign(**{name: values for name, values in known.items() if name in frame})
        return frame.astype(self._types)

    @property
    def _types(self) -> dict[str, str]:
        return {name: self._column(name).dtype for name in self._names}

    def _column(self, name: str, option: str = "") -> QueryColumn:
        known = query_columns(self._configuration)
        if name not in known or (option and known[name].dtype == "list"):
            raise _no_column(name, option, [each.name for each in known.values() if each.dtype != "list"])
        return known[name]


_UNKNOWN = {column.name: column.missing for column in ROW_COLUMNS if column.name in OBSERVATION_COLUMNS}

_NOTHING: dict[str, object] = {"str": "", "bool": False, "Int32": pd.NA, "Int64": pd.NA} | dict.fromkeys(
    ("int8", "uint8", "int16", "uint16", "int32", "int64", "uint64"), 0
)
"""What an answer holds of a spectrum that is not in the store, by type; NaN of numbers with fraction."""


def _names_of(settings: QuerySettings, configuration: RunConfiguration) -> list[pa.Table]:
    """What is asked for by name: tables of the columns that hold such names, each name once; or none."""
    given: dict[NamedBy, list[Name]] = {
        IDENTIFIER: [*stored_identifiers(configuration.grid, settings.target_ids)],
        KEY: [*settings.keys],
    }
    if settings.targets is not None:
        given.setdefault(settings.targets.named_by, []).extend(names_of(settings.targets.values))
    return [_table_of(named_by, list(dict.fromkeys(names))) for named_by, names in given.items() if names]


def _table_of(named_by: NamedBy, names: list[Name]) -> pa.Table:
    """Names as a table of the columns of rows that hold them."""
    columns = columns_of(named_by)
    values = [names] if len(columns) == 1 else zip(*names, strict=True)
    types = [pa.string() if name == KEY else pa.from_numpy_dtype(ROW_DTYPE[name]) for name in columns]
    arrays = [pa.array(each, kind) for each, kind in zip(values, types, strict=True)]
    return pa.table(dict(zip(columns, arrays, strict=True)))


def _direction(name: str, end: str) -> str:
    """SQL of the direction of an order; what is not known comes last."""
    if end not in ("", "asc", "desc"):
        raise ConfigurationError(
            "That is no direction of an order.",
            where="--order",
            got=f"{name}:{end}",
            allowed="a column, or a column with :asc or :desc behind it",
            remedy="For example --order tail_probability or --order snr:desc.",
            kind=ErrorKind.QUERY_ORDER,
        )
    return "DESC NULLS LAST" if end == "desc" else "ASC NULLS LAST"


def _no_column(name: str, option: str, known: Sequence[str]) -> InputError:
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.5)
    return InputError(
        "There is no column of that name.",
        where=option,
        got=name,
        allowed=", ".join(known),
        remedy=f"Did you mean {', '.join(near)}?" if near else "Choose one of these.",
        kind=ErrorKind.NO_COLUMN,
    )


def _place_texts(found: pa.Table) -> list[str]:
    """All places of each spectrum in words."""
    texts = [""] * found.num_rows
    explained = pc.indices_nonzero(pc.is_valid(found[PLACE_LISTS[0]]))
    fields = [found[name].take(explained).to_pylist() for name in PLACE_LISTS]
    for number, *one in zip(explained.to_pylist(), *fields, strict=True):
        texts[number] = "; ".join(map(str, stored_places([np.array(each) for each in one])))
    return texts


def _estimate_texts(found: pa.Table) -> list[str]:
    """What the cause of each spectrum measured in words."""
    every = np.stack([found[name].to_pandas().to_numpy() for name in ESTIMATE_COLUMNS], axis=1)
    texts = [""] * len(every)
    for number in np.flatnonzero(np.isfinite(every[:, ::2]).any(axis=1)).tolist():
        values, errors = every[number, ::2], every[number, 1::2]
        texts[number] = "; ".join(map(str, stored_estimates(values, errors)))
    return texts


def _redacted(sources: pa.ChunkedArray) -> NDArray[np.object_]:
    """URLs without secrets, which earlier versions put into stores."""
    each = sources.combine_chunks().dictionary_encode()
    shown = np.array([redacted_url(url) for url in each.dictionary.to_pylist()], object)
    found: NDArray[np.object_] = shown[each.indices.to_numpy()]
    return found


def _check_cluster(view: StoreView, settings: QuerySettings, clustering: ReadClustering | None) -> None:
    if settings.cluster is None or clustering is None:
        return
    numbers = [cluster.label for cluster in clustering.summary.clusters]
    if settings.cluster not in numbers:
        raise InputError(
            "The clustering has no cluster of that number.",
            where=f"{view.url}, clustering {settings.clustering}",
            got=settings.cluster,
            allowed=f"0 to {len(numbers) - 1}" if numbers else "none: there was nothing to cluster",
            remedy=f"'whyspec report {view.url}' shows the clusters.",
            kind=ErrorKind.NO_CLUSTER,
        )


def _chosen_clustering(view: StoreView, settings: QuerySettings) -> ReadClustering | None:
    """The clustering asked for; ``None`` where nothing was clustered and nothing is asked of it."""
    names = view.clusterings()
    usual = settings.clustering == DEFAULT_CLUSTERING
    name = view.explanation if usual else settings.clustering
    if name in names:
        return read_store_clustering(view, name)
    if settings.cluster is None and usual:
        return None
    raise InputError(
        "The store has no clustering of that name."
        if names
        else "The explanations of this store have not been clustered.",
        where=view.url,
        got=name,
        allowed=", ".join(names) or "none yet",
        remedy=f"Run 'whyspec cluster {view.url}' first"
        + (", or choose an allowed clustering." if names else "."),
        kind=ErrorKind.NO_CLUSTERING,
    )
