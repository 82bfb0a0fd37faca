"""Kinds of settings: how a value is written as text, read from it, and said to people."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

NONE = "none"
"""Stands for no value, where a setting may have none."""

_ONE = {int: "an integer", float: "a number", str: "a name"}
_SEVERAL = {int: "integers", float: "numbers", str: "names"}


def written(value: object) -> str:
    """A value as :func:`parsed` reads it: ``2000``, ``1,4,16``, ``none``; of an empty list, too."""
    if value is None or value == () or value == []:
        return NONE
    return ",".join(map(written, value)) if isinstance(value, list | tuple) else str(value)


def in_one_line(settings: Mapping[str, object]) -> str:
    """Settings by name, for people: ``windows 64,512, baselines 8``."""
    return ", ".join(f"{name.replace('_', ' ')} {written(value)}" for name, value in settings.items())


def said(kind: Any) -> str:
    """A kind in words, as an error or a list of settings names it."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(map(str, parts))
    if origin is tuple:
        return f"{_SEVERAL[parts[0]]} with commas between"
    if origin in (Union, types.UnionType):
        return f"{said(_given(parts))}, or {NONE}"
    return _ONE[kind]


def parsed(kind: Any, text: str) -> object:
    """The value of a kind that a text says. Which names and numbers are allowed, the settings say.

    Raises
    ------
    ValueError : the text says none.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if text.lower() == NONE else parsed(_given(parts), text)
    if origin is tuple:
        if text.lower() == NONE:
            return ()
        return tuple(parsed(parts[0], part.strip()) for part in text.split(",") if part.strip())
    if kind is float:
        return _finite(text)
    return int(text) if kind is int else text


def _given(parts: tuple[Any, ...]) -> Any:
    """Of a kind or none, the kind."""
    (kind,) = (part for part in parts if part is not types.NoneType)
    return kind


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
