"""Expression: a condition as a user writes it, in names of columns."""

from __future__ import annotations

from collections.abc import Mapping

from engine.query.conditions.columns import ColumnKind
from engine.query.conditions.condition import Condition
from engine.query.conditions.parser import parse
from engine.query.conditions.sql import clause
from engine.query.conditions.syntax import columns_in


def parse_expression(text: str, columns: Mapping[str, ColumnKind]) -> Condition:
    """The condition that a text such as ``z between 0.1 and 0.3 and tail < 1e-4`` states.

    docs/query.md describes the language. A comparison with what is not known (NULL, NaN, the square root of a
    negative number) does not hold, and neither does its ``not``: ``tail is null`` finds what has no tail.
    Numbers without fraction are compared with integers exactly. Arithmetic is float64. A number beside a
    float32 column is rounded to float32 first, so ``snr = 0.1`` finds what is shown as 0.1.

    Parameters
    ----------
    columns : the columns that may be named, with their kinds. Short names, of
        :data:`engine.query.conditions.columns.SHORT_NAMES`, stand for some of them.

    Raises
    ------
    ConfigurationError : the text is no such expression; the error points at the place.
    """
    test = parse(text, columns)
    sql = clause(test)
    return Condition(sql.text, sql.parameters, frozenset(columns_in(test)))
