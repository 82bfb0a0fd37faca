"""Known objects: the rows of a user's table that have a name or a position, with their classes."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.files.tables.held_table import held_table
from engine.files.tables.table import Table, read_table_columns
from engine.match.positions import PAIRS, Positions, positions_of
from engine.match.settings import MatchSettings
from engine.query.named_rows import named_rows
from engine.query.target_list import no_column_of_names
from engine.surveys.row_names import NamedBy, every_usual_name
from models.errors import ErrorKind, InputError

POSITION = "position"

MOST_CLASSES = 1000

_LABELS = ("source_id", "objid", "main_id", "designation", "name", "object", "id")
"""After the usual names: the first says what the table calls an object, shown beside the object's spectra."""


@dataclass(frozen=True, eq=False)
class KnownObjects:
    """Objects of a table, each once, in the table's order.

    Attributes
    ----------
    path : the table; matched_by : what names them, or :data:`POSITION`; column : what that was read from.
    places : (n,) their rows in the table.
    names : (n,) or (n, k) as :attr:`engine.query.named_rows.NamedRows.stored`; empty for positions.
    ra, dec : (n,) degrees; None for names.
    classes : names of the classes, sorted; codes : (n,) which of them.
    labels : (n,) what the table calls them.
    rows : of the table; skipped : those without a name or position; repeated : those like an earlier one.
    remark : see :class:`engine.match.positions.Positions`.
    """

    path: Path
    matched_by: NamedBy
    column: str
    places: NDArray[np.int64]
    names: NDArray[Any]
    ra: NDArray[np.float64] | None
    dec: NDArray[np.float64] | None
    classes: tuple[str, ...]
    codes: NDArray[np.int64]
    labels: NDArray[Any]
    rows: int
    skipped: int
    repeated: int
    remark: str = ""

    def __len__(self) -> int:
        return len(self.places)


def read_table(given: object, settings: MatchSettings) -> Table:
    """What a match needs of a table: of the file at a path, or of a pandas or astropy table.

    Raises
    ------
    InputError : it cannot be read.
    """
    by_position = settings.radius is not None
    own = [name for name in (settings.id_column, settings.ra, settings.dec) if name]
    usual = [name for pair in PAIRS for name in pair] if by_position else every_usual_name()
    table = _columns(given, {*(own or usual), *filter(None, (settings.class_column,))})
    # Alone, as names of labels do not say which table of a FITS file is meant.
    label = next((name for name in _labels() if name in map(str.lower, table.names)), None)
    if label is None or not by_position:
        return table
    more = _columns(given, {label})
    return replace(table, columns={**more.columns, **table.columns}) if more.names == table.names else table


def _labels() -> tuple[str, ...]:
    return (*every_usual_name(), *_LABELS)


def _columns(given: object, names: Collection[str]) -> Table:
    return (
        read_table_columns(Path(given), names) if isinstance(given, str | Path) else held_table(given, names)
    )


def known_objects(table: Table, settings: MatchSettings) -> KnownObjects:
    """The objects of a table.

    Without a radius they are matched by name, as target lists have it. Of rows with the same name, or exactly
    the same position, the first counts.

    Raises
    ------
    InputError : the table lacks a column, or no row has a name or position.
    """
    classes = _classes(table, settings.class_column)
    if settings.radius is not None:
        found = positions_of(table, settings.ra, settings.dec)
        return _placed(table, found, classes)
    return _named(table, settings.id_column, classes)


def _named(table: Table, column: str, classes: Sequence[str]) -> KnownObjects:
    rows = named_rows(table, column or None)
    if rows is None and not column and any(set(pair) <= set(map(str.lower, table.names)) for pair in PAIRS):
        raise InputError(
            "The table has no column of identifiers; it has positions.",
            where=str(table.path),
            got=", ".join(table.names[:20]),
            allowed="a match by name, or by position with a radius",
            remedy="Give a radius, such as --near 1arcsec, or name the column with --id.",
            kind=ErrorKind.MATCH_TABLE,
        )
    if rows is None:
        raise no_column_of_names(table, column or None)
    places = _first_of_each(table, rows.column, np.flatnonzero(rows.known), rows.stored)
    return _objects(
        table,
        rows.named_by,
        rows.column,
        places,
        int(rows.known.sum()),
        classes,
        np.array(rows.texts(), dtype=np.object_),
        rows.stored[places],
    )


def _placed(table: Table, found: Positions, classes: Sequence[str]) -> KnownObjects:
    column = ", ".join(found.columns)
    values = np.stack([found.ra % 360, found.dec], axis=1)
    places = _first_of_each(table, column, np.flatnonzero(found.known), values)
    label = next((table.columns[name] for name in _labels() if name in table.columns), None)
    labels = label.texts() if label is not None else [""] * table.rows
    return _objects(
        table,
        POSITION,
        column,
        places,
        int(found.known.sum()),
        classes,
        np.array(labels, dtype=np.object_),
        np.empty(0, dtype=np.object_),
        ra=found.ra[places],
        dec=found.dec[places],
        remark=found.remark,
    )


def _objects(
    table: Table,
    matched_by: NamedBy,
    column: str,
    places: NDArray[np.int64],
    usable: int,
    classes: Sequence[str],
    labels: NDArray[Any],
    names: NDArray[Any],
    *,
    ra: NDArray[np.float64] | None = None,
    dec: NDArray[np.float64] | None = None,
    remark: str = "",
) -> KnownObjects:
    codes, every = pd.factorize(np.array(classes, dtype=np.object_)[places], sort=True)
    return KnownObjects(
        path=table.path,
        matched_by=matched_by,
        column=column,
        places=places,
        names=names,
        ra=ra,
        dec=dec,
        classes=tuple(every.tolist()),
        codes=codes.astype(np.int64),
        labels=labels[places],
        rows=table.rows,
        skipped=table.rows - usable,
        repeated=usable - len(places),
        remark=remark,
    )


def _first_of_each(
    table: Table, column: str, known: NDArray[np.int64], values: NDArray[Any]
) -> NDArray[np.int64]:
    """Of the known rows those whose value no earlier one has, rising."""
    if not len(known):
        raise InputError(
            "No row of the table can be matched.",
            where=f"{table.path}, column {column}",
            got=f"{table.rows:,} rows",
            allowed="identifiers; or positions on the sky, right ascension -180 to 360 degrees",
            remedy="Name other columns, or look whether the table is whole.",
            kind=ErrorKind.MATCH_TABLE,
        )
    repeated = pd.DataFrame(values[known].reshape(len(known), -1)).duplicated().to_numpy(np.bool_)
    return np.asarray(known[~repeated], dtype=np.int64)


def _classes(table: Table, column: str) -> Sequence[str]:
    """The class of each row; empty texts without such a column."""
    if not column:
        return [""] * table.rows
    if column.lower() not in table.columns:
        near = difflib.get_close_matches(column.lower(), [name.lower() for name in table.names])
        meant = [name for name in table.names if name.lower() in near]
        raise InputError(
            "The table has no column of that name for classes.",
            where=str(table.path),
            got=column,
            allowed=", ".join(table.names[:40]),
            remedy=f"Did you mean {' or '.join(meant)}?" if meant else "Name one of these, or leave it out.",
            kind=ErrorKind.MATCH_TABLE,
        )
    texts = table.columns[column.lower()].texts()
    if (number := len(set(texts))) > MOST_CLASSES:
        raise InputError(
            "The column of classes has too many different values.",
            where=f"{table.path}, column {column}",
            got=f"{number:,}, such as {', '.join(sorted(set(texts))[:3])}",
            allowed=f"up to {MOST_CLASSES:,}",
            remedy="Name a column of classes, not of names or numbers.",
            kind=ErrorKind.MATCH_TABLE,
        )
    return texts
