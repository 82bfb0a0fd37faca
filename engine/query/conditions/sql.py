"""SQL of tests: clauses that hold exactly where the test does, whatever the numbers in the rows.

DuckDB takes NaN for the largest number and equal to itself, and an error of one row for an error of the
query. So a comparison also asks whether its numbers are known, and arithmetic gives NULL, NaN or infinity
where it has no result. The clauses hold no ``NOT`` of a comparison, so it does not matter
whether one that fails is false or NULL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.query.conditions.columns import ColumnKind
from engine.query.conditions.condition import quoted
from engine.query.conditions.syntax import (
    Arithmetic,
    ColumnValue,
    Comparison,
    Constant,
    Either,
    Every,
    Flag,
    Function,
    Known,
    Test,
    Value,
)


@dataclass(frozen=True)
class Sql:
    """A piece of SQL with the values of its ``?``, in order."""

    text: str
    parameters: tuple[object, ...] = ()


def clause(test: Test) -> Sql:
    """The clause that holds where the test does."""
    match test:
        case Every():
            return _joined(" AND ", *map(clause, test.parts))
        case Either():
            return _joined(" OR ", *map(clause, test.parts))
        case Flag():
            return _filled("{}" if test.wanted else "(NOT {})", _plain(test.column))
        case Known():
            return _known(test)
        case Comparison():
            return _comparison(test)


def _comparison(test: Comparison) -> Sql:
    left, right = _operand(test.left, test.right), _operand(test.right, test.left)
    compared = _filled(f"{{}} {test.relation} {{}}", left, right)
    return _joined(" AND ", compared, *_guards(test.left), *_guards(test.right))


def _operand(value: Value, other: Value) -> Sql:
    """One side of a comparison, beside the other."""
    if not value.kind.is_number or value.kind is other.kind is ColumnKind.INTEGER:
        return _plain(value)
    if _is_fraction(value) and isinstance(other, Constant):
        return _plain(value)  # as it is, so that the statistics of its file serve
    if isinstance(value, Constant) and other.kind is ColumnKind.SINGLE:
        with np.errstate(over="ignore"):
            return Sql("CAST(? AS FLOAT)", (float(np.float32(value.value)),))
    return _tried(value) if isinstance(value, Arithmetic | Function) else _double(value)


def _is_fraction(value: Value) -> bool:
    return isinstance(value, ColumnValue) and value.kind in (ColumnKind.SINGLE, ColumnKind.DOUBLE)


def _plain(value: Value) -> Sql:
    match value:
        case ColumnValue():
            return Sql(quoted(value.name))
        case Constant():
            return Sql("?", (value.value,))
    return _tried(value)


def _tried(value: Value) -> Sql:
    return _filled("TRY({})", _double(value))


def _double(value: Value) -> Sql:
    """A number as float64; NULL, NaN or infinite where it has none."""
    match value:
        case ColumnValue():
            return Sql(f"CAST({quoted(value.name)} AS DOUBLE)")
        case Constant():
            return Sql("CAST(? AS DOUBLE)", (float(value.value),))
        case Arithmetic():
            form = "({} / nullif({}, 0))" if value.operation == "/" else f"({{}} {value.operation} {{}})"
            return _filled(form, _double(value.left), _double(value.right))
        case Function():
            each = ", ".join("nullif({}, 0)" if value.name == "log10" else "{}" for _ in value.arguments)
            return _filled(f"{value.name}({each})", *map(_double, value.arguments))


def _guards(value: Value) -> list[Sql]:
    """What holds where a value is known."""
    if _is_fraction(value):
        return [_filled("NOT isnan({})", _plain(value))]
    if isinstance(value, Arithmetic | Function):
        return [_filled("isfinite({})", _tried(each)) for each in (value, *_hidden(value))]
    return []


def _hidden(value: Value) -> list[Value]:
    """Values in it that can be unknown although it is not: least and greatest pass over them."""
    match value:
        case Arithmetic():
            return [*_hidden(value.left), *_hidden(value.right)]
        case Function():
            own = list(value.arguments) if value.name in ("least", "greatest") else []
            return [*own, *(each for argument in value.arguments for each in _hidden(argument))]
    return []


def _known(test: Known) -> Sql:
    empty = {ColumnKind.SINGLE: "isnan({})", ColumnKind.DOUBLE: "isnan({})", ColumnKind.TEXT: "{} = ''"}
    column, more = _plain(test.column), empty.get(test.column.kind, "FALSE")
    unknown = _joined(" OR ", _filled("{} IS NULL", column), Sql(more.format(column.text)))
    return unknown if not test.wanted else _filled("(NOT {})", unknown)


def _joined(between: str, *parts: Sql) -> Sql:
    return _filled(f"({between.join(['{}'] * len(parts))})", *parts)


def _filled(form: str, *parts: Sql) -> Sql:
    """A form whose ``{}`` are these pieces."""
    text = form.format(*(part.text for part in parts))
    return Sql(text, tuple(value for part in parts for value in part.parameters))
