"""JSON text that others wrote, or that is damaged: read without harm."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

_SHOWN = 60
"""Characters of a wrong value that are shown."""


def read_json(data: bytes) -> Any:
    """What JSON text says.

    Raises
    ------
    ValueError : it is not JSON, a number in it is NaN or infinite, or it is nested too deeply.
    """
    try:
        return json.loads(data, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with a value: where, what, and what was found."""
    found = error.errors(include_url=False)[0]
    where = ".".join(map(str, found["loc"]))
    value = repr(found["input"])
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
    return f"{where}: {found['msg']}, found {shown}" if where else found["msg"]


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
