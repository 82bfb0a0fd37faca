"""Condition: what rows of a table must fulfil, as a WHERE clause with parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """A WHERE clause of DuckDB. Nothing of it comes from a user but its parameters and known columns.

    Attributes
    ----------
    sql : the clause, with ``?`` for each parameter; it can stand after ``WHERE`` and in parentheses.
    parameters : values of the ``?``, in order; a list is one parameter.
    columns : names of the columns that it reads.
    """

    sql: str
    parameters: tuple[object, ...]
    columns: frozenset[str]


def all_of(conditions: Iterable[Condition]) -> Condition:
    """What holds where each of the conditions holds; of no conditions, what always holds."""
    each = tuple(conditions)
    return Condition(
        " AND ".join(f"({one.sql})" for one in each) or "TRUE",
        tuple(parameter for one in each for parameter in one.parameters),
        frozenset().union(*(one.columns for one in each)),
    )


def quoted(column: str) -> str:
    """The name of a column as SQL has it, whatever its characters."""
    return '"' + column.replace('"', '""') + '"'
