"""Parser of expressions: a text becomes tests of columns, by recursive descent.

::

    either     = every {"or" every}
    every      = negation {"and" negation}
    negation   = {"not"} comparison
    comparison = sum relation sum | sum ["not"] "between" sum "and" sum | column "is" ["not"] "null"
                 | column ["not"] "in" "(" constant {"," constant} ")" | column of booleans
    sum        = product {("+" | "-") product}
    product    = signed {("*" | "/") signed}
    signed     = {"-" | "+"} primary
    primary    = number | text | "true" | "false" | column | function "(" sum {"," sum} ")" | "(" either ")"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar

from engine.query.conditions.columns import ColumnKind, column_named, nearest_names
from engine.query.conditions.syntax import (
    Arithmetic,
    ColumnValue,
    Comparison,
    Constant,
    Either,
    Every,
    Flag,
    Function,
    FunctionName,
    Known,
    Operation,
    Relation,
    Test,
    Value,
    negated,
)
from engine.query.conditions.tokens import Token, expression_error, tokens_of
from models.errors import ConfigurationError

MOST_STEPS = 200
"""Operations and ``not`` that an expression may have: they lie in each other."""

DEEPEST = 20
"""Parentheses that may lie in each other."""

_RELATIONS: dict[str, Relation] = {
    "=": "=",
    "==": "=",
    "!=": "!=",
    "<>": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_SUMS: dict[str, Operation] = {"+": "+", "-": "-"}
_PRODUCTS: dict[str, Operation] = {"*": "*", "/": "/"}
_ARGUMENTS: dict[FunctionName, tuple[int, float]] = {
    "abs": (1, 1),
    "sqrt": (1, 1),
    "log10": (1, 1),
    "least": (2, float("inf")),
    "greatest": (2, float("inf")),
}
"""Least and largest number of arguments of each function."""

_FUNCTIONS: dict[str, FunctionName] = {name: name for name in _ARGUMENTS}
_KEYWORDS = ("and", "or", "not", "between", "in", "is", "null")
_LARGEST = 1 << 64
"""Numbers without fraction below this are integers, which are compared exactly."""

_Part = TypeVar("_Part")


def parse(text: str, columns: Mapping[str, ColumnKind]) -> Test:
    """What an expression tests.

    Raises
    ------
    ConfigurationError : it is not an expression of the grammar above, names an unknown column, compares what
        cannot be compared, or is no comparison.
    """
    return _Parser(text, columns).whole()


class _Parser:
    def __init__(self, text: str, columns: Mapping[str, ColumnKind]) -> None:
        self._text, self._columns = text, columns
        self._tokens = tokens_of(text)
        self._place = self._steps = self._depth = 0

    def whole(self) -> Test:
        test = self._test(self._either)
        if self._token.kind != "end":
            raise self._unexpected("and, or, or the end")
        return test

    def _either(self) -> Test | Value:
        return self._joined("or", self._every, Either)

    def _every(self) -> Test | Value:
        return self._joined("and", self._negation, Every)

    def _joined(
        self, word: str, part: Callable[[], Test | Value], join: type[Either | Every]
    ) -> Test | Value:
        at, first = self._token.at, part()
        if self._token.keyword != word:
            return first
        parts = [self._as_test(first, at)]
        while self._take(word):
            parts.append(self._test(part))
        return join(tuple(parts))

    def _negation(self) -> Test | Value:
        if not self._take("not"):
            return self._comparison()
        self._step()
        return negated(self._test(self._negation))

    def _comparison(self) -> Test | Value:
        at, left = self._token.at, self._sum()
        word = self._token.keyword
        if word in _RELATIONS:
            return self._compared(left, at)
        if word == "is":
            return self._null(left, at)
        opposite = self._take("not")
        if opposite and self._token.keyword not in ("between", "in"):
            raise self._unexpected("between or in")
        if self._take("between"):
            test = self._between(left, at)
        elif self._take("in"):
            test = self._in(left, at)
        else:
            return left
        return negated(test) if opposite else test

    def _compared(self, left: Test | Value, at: int) -> Test:
        sign = self._next()
        test = self._pair(_RELATIONS[sign.text], self._value(left, at), self._sum_value(), sign.at)
        if self._token.keyword in _RELATIONS:
            raise self._error("A comparison has two sides.", self._token.at, remedy="Join two by and.")
        return test

    def _null(self, left: Test | Value, at: int) -> Test:
        self._next()
        wanted = self._take("not")
        self._expect("null")
        if not isinstance(left, ColumnValue):
            raise self._error("Only a column is null or not.", at, remedy="Write: COLUMN is null.")
        return Known(left, wanted)

    def _between(self, left: Test | Value, at: int) -> Test:
        value, low = self._value(left, at), self._sum_value()
        self._expect("and")
        high = self._sum_value()
        return Every((self._pair(">=", value, low, at), self._pair("<=", value, high, at)))

    def _in(self, left: Test | Value, at: int) -> Test:
        if not isinstance(left, ColumnValue):
            raise self._error("Only a column is in a list.", at, remedy="Write: COLUMN in (1, 2).")
        self._expect("(")
        items = [self._item(left)]
        while self._take(","):
            items.append(self._item(left))
        self._expect(")")
        return Either(tuple(items))

    def _item(self, value: Value) -> Test:
        at, item = self._token.at, self._signed()
        if not isinstance(item, Constant):
            raise self._error("A list has numbers and texts only.", at, remedy="Use = and or for others.")
        return self._pair("=", value, item, at)

    def _pair(self, relation: Relation, left: Value, right: Value, at: int) -> Comparison:
        if _comparable(left.kind) != _comparable(right.kind):
            raise self._error(
                f"One cannot compare {_called(left)} with {_called(right)}.",
                at,
                remedy="Put a text into quotes, and leave them out around a number.",
            )
        if relation not in ("=", "!=") and not left.kind.is_number:
            raise self._error(
                f"One cannot say what is below or above {_called(left)}.",
                at,
                allowed="=, !=, in",
                remedy="Use one of these.",
            )
        return Comparison(relation, left, right)

    def _sum(self) -> Test | Value:
        return self._chain(_SUMS, self._product)

    def _product(self) -> Test | Value:
        return self._chain(_PRODUCTS, self._signed)

    def _chain(self, signs: Mapping[str, Operation], part: Callable[[], Test | Value]) -> Test | Value:
        at, left = self._token.at, part()
        while self._token.keyword in signs:
            operation = signs[self._next().text]
            self._step()
            number = self._number(left, at)
            at = self._token.at
            left = Arithmetic(operation, number, self._number(part(), at))
        return left

    def _signed(self) -> Test | Value:
        sign = self._token.keyword
        if sign not in _SUMS:
            return self._primary()
        self._next()
        self._step()
        at = self._token.at
        value = self._number(self._signed(), at)
        if sign == "+":
            return value
        if isinstance(value, Constant):
            return Constant(-value.value, value.kind)  # type: ignore[operator]  # it is a number
        return Arithmetic("-", Constant(0, ColumnKind.INTEGER), value)

    def _primary(self) -> Test | Value:
        token = self._token
        match token.kind:
            case "number":
                return _constant(self._next().text)
            case "text":
                return Constant(self._next().text, ColumnKind.TEXT)
            case "word":
                return self._named()
        if token.keyword != "(":
            raise self._unexpected("a column, a number, a text or (")
        return self._enclosed(self._either)

    def _named(self) -> Value:
        word = self._token.keyword
        if word in ("true", "false"):
            self._next()
            return Constant(word == "true", ColumnKind.BOOLEAN)
        if self._tokens[self._place + 1].keyword == "(" and word not in _KEYWORDS:
            return self._function()
        if word in _KEYWORDS:
            raise self._unexpected("a column, a number, a text or (")
        return self._column(self._next())

    def _function(self) -> Value:
        token = self._next()
        name = _FUNCTIONS.get(token.keyword)
        if name is None:
            raise self._error(
                "There is no function of that name.",
                token.at,
                allowed=", ".join(_ARGUMENTS),
                remedy="Use one of these.",
            )
        arguments = self._enclosed(self._arguments)
        least, most = _ARGUMENTS[name]
        if not least <= len(arguments) <= most:
            wanted = "one number" if most == 1 else "two numbers or more"
            raise self._error(f"{name} takes {wanted}.", token.at, allowed=wanted)
        return Function(name, arguments)

    def _arguments(self) -> tuple[Value, ...]:
        found: list[Value] = []
        while not found or self._take(","):
            at = self._token.at
            found.append(self._number(self._sum(), at))
        return tuple(found)

    def _enclosed(self, part: Callable[[], _Part]) -> _Part:
        """What stands in parentheses."""
        self._expect("(")
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._too_much(f"{DEEPEST} parentheses in each other")
        found = part()
        self._expect(")")
        self._depth -= 1
        return found

    def _column(self, token: Token) -> ColumnValue:
        name = column_named(token.text, self._columns)
        if name is not None:
            return ColumnValue(name, self._columns[name])
        near = nearest_names(token.text, self._columns)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        raise self._error(
            "There is no column of that name.",
            token.at,
            allowed=", ".join(near or sorted(self._columns)),
            remedy=f"{meant}A text stands in quotes: '{token.text}'.",
        )

    def _test(self, part: Callable[[], Test | Value]) -> Test:
        at = self._token.at
        return self._as_test(part(), at)

    def _as_test(self, node: Test | Value, at: int) -> Test:
        if isinstance(node, ColumnValue) and node.kind is ColumnKind.BOOLEAN:
            return Flag(node, wanted=True)
        if isinstance(node, Value):
            raise self._error(
                "That is not a comparison.",
                at,
                allowed=f"{', '.join(_RELATIONS)}, between, in, is null",
                remedy="Compare it, as in: z < 0.3.",
            )
        return node

    def _sum_value(self) -> Value:
        at = self._token.at
        return self._value(self._sum(), at)

    def _value(self, node: Test | Value, at: int) -> Value:
        if isinstance(node, Value):
            return node
        raise self._error("A comparison is no value.", at, remedy="Join comparisons by and, or.")

    def _number(self, node: Test | Value, at: int) -> Value:
        value = self._value(node, at)
        if not value.kind.is_number:
            raise self._error(
                f"One cannot calculate with {_called(value)}.",
                at,
                remedy="Calculate with columns of numbers only.",
            )
        return value

    @property
    def _token(self) -> Token:
        return self._tokens[self._place]

    def _next(self) -> Token:
        token = self._token
        self._place += 1
        return token

    def _take(self, keyword: str) -> bool:
        """Whether this keyword or sign stands here; then it is passed."""
        if self._token.keyword != keyword:
            return False
        self._place += 1
        return True

    def _expect(self, keyword: str) -> None:
        if not self._take(keyword):
            raise self._unexpected(keyword)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise self._too_much(f"{MOST_STEPS} operations")

    def _too_much(self, allowed: str) -> ConfigurationError:
        return self._error(
            "The expression is too involved.", self._token.at, allowed=allowed, remedy="Ask for less at once."
        )

    def _unexpected(self, wanted: str) -> ConfigurationError:
        end = self._token.kind == "end"
        what = "The expression ends too early." if end else "Something else is expected here."
        return self._error(what, self._token.at, allowed=wanted)

    def _error(self, what: str, at: int, *, allowed: str = "", remedy: str = "") -> ConfigurationError:
        return expression_error(self._text, at, what, allowed=allowed, remedy=remedy)


def _constant(text: str) -> Constant:
    number = Decimal(text)
    if number < _LARGEST and number == number.to_integral_value():
        return Constant(int(number), ColumnKind.INTEGER)
    return Constant(float(text), ColumnKind.DOUBLE)


def _comparable(kind: ColumnKind) -> str:
    """Kinds of the same name are compared with each other."""
    return "number" if kind.is_number else kind.value


def _called(value: Value) -> str:
    kind = _comparable(value.kind)
    return f"the {kind} column {value.name}" if isinstance(value, ColumnValue) else f"a {kind}"
