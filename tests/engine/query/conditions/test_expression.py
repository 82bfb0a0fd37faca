"""Expressions: what they find is what Python finds, and what they are not is refused."""

from __future__ import annotations

import contextlib
import math
import operator
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.query.conditions.columns import SHORT_NAMES, ColumnKind, kind_of
from engine.query.conditions.condition import Condition, all_of
from engine.query.conditions.expression import parse_expression
from engine.query.conditions.parser import DEEPEST, MOST_STEPS
from engine.spectra.rows import COLUMNS as ROW_COLUMNS
from models.errors import ConfigurationError, ErrorKind

COLUMNS = {
    "redshift": ColumnKind.DOUBLE,
    "ra": ColumnKind.DOUBLE,
    "tail_probability": ColumnKind.SINGLE,
    "target_id": ColumnKind.INTEGER,
    "unsigned": ColumnKind.INTEGER,
    "spectype": ColumnKind.TEXT,
    'odd "name" {}?': ColumnKind.TEXT,
    "gone": ColumnKind.BOOLEAN,
}
TYPES = ("DOUBLE", "DOUBLE", "FLOAT", "BIGINT", "UBIGINT", "VARCHAR", "VARCHAR", "BOOLEAN")
BIG = 9_007_199_254_740_992  # 2**53
FRACTIONS = (None, math.nan, -1.5, 0.0, 0.1, 0.3, 1.0, 2.0, 1e-4, 1e300)
WHOLE = (None, -(1 << 63), -1, 0, 1, 4, BIG, BIG + 1, (1 << 63) - 1)
TEXTS = (None, "", "GALAXY", "QSO", "it's", 'a "b"', "é")

Row = dict[str, Any]
Truth = Callable[[Row], bool | None]
Number = Callable[[Row], Any]


def rows() -> list[Row]:
    """Every kind of value beside every other."""
    random = np.random.default_rng(5)
    lists: tuple[tuple[Any, ...], ...] = (
        FRACTIONS,
        FRACTIONS,
        tuple(None if value is None else float(np.float32(value)) for value in (*FRACTIONS[:-1], 3.0)),
        WHOLE,
        (None, 0, 1, BIG + 1, 1 << 63, (1 << 64) - 1),
        TEXTS,
        TEXTS,
        (None, True, False),
    )
    return [
        {name: values[random.integers(len(values))] for name, values in zip(COLUMNS, lists, strict=True)}
        for _ in range(120)
    ]


ROWS = rows()


@pytest.fixture(scope="module")
def table() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        names = [name.replace('"', '""') for name in COLUMNS]
        kinds = ", ".join(f'"{name}" {kind}' for name, kind in zip(names, TYPES, strict=True))
        connection.execute(f"CREATE TABLE spectra (number INTEGER, {kinds})")
        marks = ", ".join(["?"] * (1 + len(COLUMNS)))
        connection.executemany(
            f"INSERT INTO spectra VALUES ({marks})",  # noqa: S608 - of this test
            [[number, *row.values()] for number, row in enumerate(ROWS)],
        )
        yield connection


def found(table: duckdb.DuckDBPyConnection, condition: Condition) -> list[int]:
    sql = f"SELECT number FROM spectra WHERE {condition.sql} ORDER BY number"  # noqa: S608 - what is tested
    return [number for (number,) in table.execute(sql, list(condition.parameters)).fetchall()]


def known(value: Any) -> Any:
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value


def single(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))


RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def relation(sign: str, left: Number, right: Number) -> Truth:
    def truth(row: Row) -> bool | None:
        one, other = known(left(row)), known(right(row))
        return None if one is None or other is None else RELATIONS[sign](one, other)

    return truth


def arithmetic(sign: str, left: Number, right: Number) -> Number:
    def value(row: Row) -> float | None:
        one, other = left(row), right(row)
        if one is None or other is None or (sign == "/" and other == 0):
            return None
        with np.errstate(all="ignore"):
            one, other = np.float64(one), np.float64(other)
            return float(
                {"+": one + other, "-": one - other, "*": one * other}[sign] if sign != "/" else one / other
            )

    return value


def root(part: Number) -> Number:
    def value(row: Row) -> float | None:
        number = part(row)
        return None if number is None or not number >= 0 else math.sqrt(number)

    return value


def logarithm(part: Number) -> Number:
    def value(row: Row) -> float | None:
        number = part(row)
        return None if number is None or not number > 0 else math.log10(number)

    return value


def extreme(choose: Callable[..., float], parts: list[Number]) -> Number:
    def value(row: Row) -> float | None:
        numbers = [finite(part)(row) for part in parts]
        return None if None in numbers else choose(float(number) for number in numbers if number is not None)

    return value


def finite(part: Number) -> Number:
    def value(row: Row) -> float | None:
        number = part(row)
        return None if number is None or not math.isfinite(float(number)) else float(number)

    return value


def column(name: str) -> Number:
    return lambda row: row[name]


fractions = st.sampled_from(["redshift", "z", "Z", "ra", "tail", "tail_probability"])
constants = st.sampled_from(["0.1", "0.3", "1", "2.0", "1e-4", ".5", "-1.5", "3", "- 1", "1e300"])
integers = st.sampled_from([0, 1, -1, 4, BIG, BIG + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
NAMES = {"z": "redshift", "Z": "redshift", "tail": "tail_probability"}


def number_of(text: str) -> float:
    return float(text.replace(" ", ""))


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> tuple[str, Number]:
    """Text and value of what arithmetic gives, always of an operation."""

    def part() -> tuple[str, Number]:
        kind = draw(st.integers(0, 3 if depth else 1))
        if kind == 0:
            text = draw(constants)
            return f"({text})", lambda _: number_of(text)
        if kind == 1:
            name = draw(st.sampled_from(["redshift", "ra", "tail", "target_id", "unsigned"]))
            return name, column(NAMES.get(name, name))
        return draw(values(depth=depth - 1))

    (left, one), (right, other) = part(), part()
    match draw(st.integers(0, 7)):
        case 0:
            return f"sqrt({left})", root(one)
        case 1:
            return f"LOG10({left})", logarithm(one)
        case 2:
            return f"least({left}, {right})", extreme(min, [one, other])
        case 3:
            return f"greatest({left}, {right}, 1)", extreme(max, [one, other, lambda _: 1])
        case _:
            sign = draw(st.sampled_from("+-*/"))
            return f"({left} {sign} {right})", arithmetic(sign, one, other)


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, Truth]:
    sign = draw(st.sampled_from(list(RELATIONS)))
    match draw(st.integers(0, 9)):
        case 0 | 1:
            name, text = draw(fractions), draw(constants)
            real = NAMES.get(name, name)
            number = single(number_of(text)) if real == "tail_probability" else number_of(text)
            return f"{name} {sign} {text}", relation(sign, column(real), lambda _: number)
        case 2:
            name, whole = draw(st.sampled_from(["target_id", "unsigned"])), draw(integers)
            return f"{whole} {sign} {name}", relation(sign, lambda _: whole, column(name))
        case 3:
            name, whole, other = (
                draw(st.sampled_from(["targetid", "unsigned"])),
                draw(integers),
                draw(integers),
            )
            real = {"targetid": "target_id"}.get(name, name)
            inside = {whole, other}

            def listed(row: Row) -> bool | None:
                return None if row[real] is None else row[real] in inside

            no = draw(st.booleans())
            return f"{name} {'not ' * no}in ({whole}, {other})", inverse(listed) if no else listed
        case 4:
            texts = {"spectype": "spectype", "class": "spectype"}
            name, text = draw(st.sampled_from(list(texts))), draw(st.sampled_from(TEXTS[1:]))
            quote = draw(st.sampled_from("'\""))
            sign = draw(st.sampled_from(["=", "!=", "<>"]))
            return (
                f"{name} {sign} {quote}{text.replace(quote, quote * 2)}{quote}",
                relation(sign, column(texts[name]), lambda _: text),
            )
        case 5:
            name = draw(st.sampled_from(list(COLUMNS)[:6]))
            no = draw(st.booleans())
            return f"{name} IS {'not ' * no}null", lambda row: (known(row[name]) in (None, "")) != no
        case 6:
            return draw(st.sampled_from([("gone", column("gone")), ("gone = true", column("gone"))]))
        case 7:
            name, low, high = draw(fractions), draw(constants), draw(constants)
            real = NAMES.get(name, name)
            limits = [number_of(each) for each in (low, high)]
            if real == "tail_probability":
                limits = [single(limit) for limit in limits]
            above = relation(">=", column(real), lambda _: limits[0])
            below = relation("<=", column(real), lambda _: limits[1])
            return f"{name} between {low} and {high}", both(above, below)
        case 8:
            return "target_id " + sign + " unsigned", relation(sign, column("target_id"), column("unsigned"))
        case _:
            (left, one), (right, other) = draw(values()), draw(values())
            return f"{left} {sign} {right}", relation(sign, finite(one), finite(other))


def inverse(truth: Truth) -> Truth:
    def opposite(row: Row) -> bool | None:
        value = truth(row)
        return None if value is None else not value

    return opposite


def both(one: Truth, other: Truth) -> Truth:
    def truth(row: Row) -> bool | None:
        each = (one(row), other(row))
        return False if False in each else None if None in each else True

    return truth


def either(one: Truth, other: Truth) -> Truth:
    return inverse(both(inverse(one), inverse(other)))


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, Truth]:
    kind = draw(st.integers(0, 3 if depth else 0))
    if kind == 0:
        return draw(comparisons())
    one, first = draw(expressions(depth=depth - 1))
    if kind == 1:
        return f"not ({one})", inverse(first)
    other, second = draw(expressions(depth=depth - 1))
    return (
        (f"({one}) AND ({other})", both(first, second))
        if kind == 2
        else (
            f"({one}) or ({other})",
            either(first, second),
        )
    )


@given(expressions())
@settings(max_examples=300, deadline=None)
def test_an_expression_finds_what_python_finds(
    table: duckdb.DuckDBPyConnection, expression: tuple[str, Truth]
) -> None:
    text, truth = expression
    expected = [number for number, row in enumerate(ROWS) if truth(row)]
    assert found(table, parse_expression(text, COLUMNS)) == expected


PIECES = [
    *(
        "z",
        "tail",
        "class",
        "gone",
        "target_id",
        "select",
        "from spectra",
        "abs(",
        "sqrt",
        "least(",
        "(",
        ")",
    ),
    *(
        "1",
        "0.5",
        "1e-4",
        "1e9999",
        "'a'",
        '"',
        "'",
        "true",
        "null",
        "and",
        "or",
        "not",
        "between",
        "in",
        "is",
    ),
    *("=", "<", ">=", "!", "+", "-", "*", "/", ",", ";", "--", "/*", "?", "$1", "\x00", "é", "\ud800", "\\"),
]


@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join)))
@settings(max_examples=400, deadline=None)
def test_any_text_is_an_expression_or_is_refused(table: duckdb.DuckDBPyConnection, text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        found(table, parse_expression(text, COLUMNS))


def test_columns_are_those_of_the_table_and_values_are_parameters() -> None:
    condition = parse_expression("z < 0.5 and class = 'x''); DROP TABLE spectra --'", COLUMNS)
    assert condition.parameters == (0.5, "x'); DROP TABLE spectra --")
    assert condition.columns == {"redshift", "spectype"}
    assert "DROP" not in condition.sql


def test_and_binds_closer_than_or_and_operations_as_usual(table: duckdb.DuckDBPyConnection) -> None:
    def of(text: str) -> list[int]:
        return found(table, parse_expression(text, COLUMNS))

    assert (
        of("gone or z < 1 and ra < 1") == of("gone or (z < 1 and ra < 1)") != of("(gone or z < 1) and ra < 1")
    )
    assert of("1 + z * 2 > 1.3") == of("1 + (z * 2) > 1.3") != of("(1 + z) * 2 > 1.3")
    assert of("z - 1 - 1 < 0") == of("(z - 1) - 1 < 0") != of("z - (1 - 1) < 0")
    assert of("not gone and z < 1") == of("(not gone) and z < 1")


def test_conditions_are_joined(table: duckdb.DuckDBPyConnection) -> None:
    one, other = (parse_expression(text, COLUMNS) for text in ("z < 1 or gone", "ra > 0 or not gone"))
    joined = all_of([one, other])
    assert found(table, joined) == sorted(set(found(table, one)) & set(found(table, other)))
    assert joined.columns == {"redshift", "ra", "gone"}
    assert len(found(table, all_of([]))) == len(ROWS)


def test_long_lists_and_the_deepest_expressions_work(table: duckdb.DuckDBPyConnection) -> None:
    listed = ", ".join(map(str, range(BIG, BIG + 3000)))
    wanted = [number for number, row in enumerate(ROWS) if row["target_id"] in (BIG, BIG + 1)]
    assert found(table, parse_expression(f"target_id in ({listed})", COLUMNS)) == wanted
    for text in (
        "(" * DEEPEST + "z < 1" + ")" * DEEPEST,
        "not " * MOST_STEPS + "z < 1",
        "z" + " - 0" * MOST_STEPS + " < 1",
        "- " * MOST_STEPS + "z < 1",
        "least(1, " * DEEPEST + "z" + ")" * DEEPEST + " < 1",
    ):
        assert found(table, parse_expression(text, COLUMNS)) == found(
            table, parse_expression("z < 1", COLUMNS)
        )
    joined = " or ".join(["z < 1"] * 5000)
    assert found(table, parse_expression(joined, COLUMNS)) == found(table, parse_expression("z < 1", COLUMNS))


@pytest.mark.parametrize(
    ("text", "what", "at", "more"),
    [
        ("redshfit < 2", "no column of that name", 0, "Did you mean redshift?"),
        ("class = GALAXY", "no column of that name", 8, "A text stands in quotes: 'GALAXY'"),
        ("z", "not a comparison", 0, "Compare it"),
        ("z < 1 and z + 1", "not a comparison", 10, "Compare it"),
        ("not z", "not a comparison", 4, "Compare it"),
        ("1", "not a comparison", 0, "Compare it"),
        ("true", "not a comparison", 0, "Compare it"),
        ("(z < 1) + 1 < 2", "no value", 0, "and, or"),
        ("0 < z < 1", "two sides", 6, "Join two by and"),
        ("z < 1; z > 2", "one condition", 5, "Join conditions"),
        ("z < 1 -- z", "no comments", 6, "Leave them out"),
        ("z /* a */ < 1", "no comments", 2, "Leave them out"),
        ("", "ends too early", 0, "a column"),
        ("z between 1", "ends too early", 11, "and"),
        ("z < 1 z", "Something else", 6, "and, or, or the end"),
        ("z in (1, z)", "numbers and texts only", 9, "Use = and or"),
        ("z + 1 in (1)", "Only a column is in a list", 0, "COLUMN in"),
        ("z + 1 is null", "Only a column is null", 0, "COLUMN is null"),
        ("z not < 1", "Something else", 6, "between or in"),
        ("pow(z, 2) < 1", "no function of that name", 0, "abs, sqrt, log10, least, greatest"),
        ("read_csv('a') < 1", "no function of that name", 0, "abs"),
        ("abs(z, 1) < 1", "abs takes one number", 0, "one number"),
        ("least(z) < 1", "least takes two numbers", 0, "two numbers or more"),
        ("class < 'a'", "below or above the text column spectype", 6, "=, !=, in"),
        ("z = 'a'", "compare the number column redshift with a text", 2, "quotes"),
        ("gone = 1", "compare the boolean column gone with a number", 5, "quotes"),
        ("class + 1 = 2", "calculate with the text column spectype", 0, "columns of numbers"),
        ("z < 'a", "no end", 4, "Close it"),
        ("1.2.3 < z", "not a number", 0, "1e-4"),
        ("z < 5arcsec", "not a number", 4, "1e-4"),
        ("z < 1e99999", "not a number", 4, "1e-4"),
        ("z < $1", "has this character", 4, "query.md"),
        ("exists (select 1)", "no function", 0, "abs"),
        ("z < '\udc80'", "no UTF-8 text", 5, "query.md"),
        ("(" * (DEEPEST + 1) + "z < 1", "too involved", DEEPEST + 1, "parentheses in each other"),
        ("not " * (MOST_STEPS + 1) + "z < 1", "too involved", 4 * MOST_STEPS + 4, "operations"),
        ("z < " + "1" * 100_001, "too long", 100_000, "file"),
    ],
)
def test_what_is_no_expression_is_refused_at_its_place(text: str, what: str, at: int, more: str) -> None:
    with pytest.raises(ConfigurationError, match=what) as caught:
        parse_expression(text, COLUMNS)
    error = caught.value
    assert error.kind is ErrorKind.EXPRESSION
    assert error.where == f"character {at + 1} of the expression"
    _, line, mark = error.got.split("\n")
    assert mark.strip() == "^"
    assert line[len(mark) - 1 :][:1] == text[at : at + 1].replace("\udc80", "\N{REPLACEMENT CHARACTER}")
    assert more in f"{error.allowed} {error.remedy}"


def test_a_columns_own_name_comes_before_a_short_one() -> None:
    columns = {"z": ColumnKind.DOUBLE, "redshift": ColumnKind.DOUBLE}
    assert parse_expression("z < 1", columns).columns == {"z"}
    assert parse_expression("z < 1", {"redshift": ColumnKind.DOUBLE}).columns == {"redshift"}


def table_of_the_page(heading: str) -> list[list[list[str]]]:
    """Code in the cells of the table of docs/query.md whose heading begins so."""
    page = Path(__file__).resolve().parents[4] / "docs" / "query.md"
    table = page.read_text(encoding="utf-8").split(f"\n| {heading} |")[1].split("\n\n")[0]
    return [[re.findall("`(.*?)`", cell) for cell in row.split(" | ")] for row in table.split("\n")[2:]]


def test_the_pages_expressions_are_such() -> None:
    columns = {column.name: kind_of(np.dtype(column.dtype).name) for column in ROW_COLUMNS}
    columns |= {"gone": ColumnKind.BOOLEAN, "tail_probability": ColumnKind.SINGLE}
    for (expression,), *_ in table_of_the_page("expression"):
        parse_expression(expression, columns)


def test_the_page_has_every_short_name() -> None:
    told: dict[str, str] = {}
    for short, columns in table_of_the_page("short"):
        told |= zip(short, columns * (len(short) // len(columns)), strict=True)
    assert told == dict(SHORT_NAMES)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("int64", ColumnKind.INTEGER),
        ("uint8", ColumnKind.INTEGER),
        ("float32", ColumnKind.SINGLE),
        ("float64", ColumnKind.DOUBLE),
        ("bool", ColumnKind.BOOLEAN),
        ("string", ColumnKind.TEXT),
    ],
)
def test_the_types_of_a_store_have_kinds(dtype: str, kind: ColumnKind) -> None:
    assert kind_of(dtype) is kind
