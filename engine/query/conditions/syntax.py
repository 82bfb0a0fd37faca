"""Syntax of an expression: values, and what compares them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from engine.query.conditions.columns import ColumnKind

Relation = Literal["=", "!=", "<", "<=", ">", ">="]
Operation = Literal["+", "-", "*", "/"]
FunctionName = Literal["abs", "sqrt", "log10", "least", "greatest"]

OPPOSITE: dict[Relation, Relation] = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
"""What holds of known values where a relation does not."""


@dataclass(frozen=True)
class ColumnValue:
    """The value of a column."""

    name: str
    kind: ColumnKind


@dataclass(frozen=True)
class Constant:
    """A value that is written in the expression."""

    value: int | float | str | bool
    kind: ColumnKind


@dataclass(frozen=True)
class Arithmetic:
    """Two numbers joined."""

    operation: Operation
    left: Value
    right: Value
    kind: ColumnKind = ColumnKind.DOUBLE


@dataclass(frozen=True)
class Function:
    """A function of numbers."""

    name: FunctionName
    arguments: tuple[Value, ...]
    kind: ColumnKind = ColumnKind.DOUBLE


Value = ColumnValue | Constant | Arithmetic | Function


@dataclass(frozen=True)
class Comparison:
    """Holds where both values are known and stand in the relation."""

    relation: Relation
    left: Value
    right: Value


@dataclass(frozen=True)
class Known:
    """Holds where a column has a value, or (``wanted`` false) where it has none."""

    column: ColumnValue
    wanted: bool


@dataclass(frozen=True)
class Flag:
    """Holds where a column of booleans is as wanted."""

    column: ColumnValue
    wanted: bool


@dataclass(frozen=True)
class Every:
    """Holds where each part does."""

    parts: tuple[Test, ...]


@dataclass(frozen=True)
class Either:
    """Holds where one part does."""

    parts: tuple[Test, ...]


Test = Comparison | Known | Flag | Every | Either


def negated(test: Test) -> Test:
    """What ``not`` of a test holds for. What is not known fulfils neither a comparison nor its ``not``."""
    match test:
        case Comparison():
            return replace(test, relation=OPPOSITE[test.relation])
        case Known() | Flag():
            return replace(test, wanted=not test.wanted)
        case Every():
            return Either(tuple(map(negated, test.parts)))
        case Either():
            return Every(tuple(map(negated, test.parts)))


def columns_in(node: Test | Value) -> Iterator[str]:
    """Names of the columns that it reads, each as often as it does."""
    match node:
        case ColumnValue():
            yield node.name
        case Known() | Flag():
            yield node.column.name
        case Arithmetic() | Comparison():
            yield from columns_in(node.left)
            yield from columns_in(node.right)
        case Function():
            for each in node.arguments:
                yield from columns_in(each)
        case Every() | Either():
            for part in node.parts:
                yield from columns_in(part)
