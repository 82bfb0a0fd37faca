"""Text table of a query's answer, for people: main columns, few digits, no number or name ever shortened."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.query.query import COLUMNS, NOT_IN_STORE
from models.plain_text import printable

_GAP = "  "
_HEADINGS = {
    "key": "key",
    "redshift": "z",
    "spectype": "class",
    "model": "model",
    "score": "score",
    "tail_probability": "tail\nprob.",
    "snr": "S/N",
    "cause": "cause",
    "other_class": "other\nclass",
    "instrument_probability": "instr.\nprob.",
    "place_wavelength": "place\n[Å]",
    "place_rest_wavelength": "at rest\n[Å]",
    "line": "line",
    "place_width": "width\n[Å]",
    "flux": "flux",
    "sigma": "sigma",
    "estimates": "estimates",
    "cluster": "cluster",
    "status": "status",
    "cautions": "cautions",
    "gone": "gone",
    "zwarn": "ZWARN",
    "fiber": "fiber",
    "tiles": "tiles",
    "night_last": "last\nnight",
}
"""Columns in the order in which they are shown; the key holds the TARGETID."""

_BY_IMPORTANCE = (
    "key",
    "score",
    "status",
    "tail_probability",
    "redshift",
    "cause",
    "other_class",
    "place_wavelength",
    "line",
    "cluster",
    "instrument_probability",
    "sigma",
    "estimates",
    "place_width",
    "flux",
    "gone",
    "model",
    "cautions",
    "spectype",
    "snr",
    "place_rest_wavelength",
    "zwarn",
    "fiber",
    "tiles",
    "night_last",
)

_SAYS_SOMETHING: dict[str, Callable[[pd.Series], bool]] = {
    "model": lambda column: column.nunique() > 1,
    "other_class": lambda column: bool((column != "").any()),
    "estimates": lambda column: bool((column != "").any()),
    "cluster": lambda column: bool(column.notna().any()),
    "status": lambda column: bool((column != "scored").any()),
    "cautions": lambda column: bool((column != "").any()),
    "gone": lambda column: bool(column.any()),
    "zwarn": lambda column: bool((column > 0).any()),
    "fiber": lambda column: bool((column >= 0).any()),
    "tiles": lambda column: bool((column != "").any()),
    "night_last": lambda column: bool((column >= 0).any()),
}
"""Columns that are left out where they say nothing."""

_DIGITS = {
    "redshift": "{:.4f}",
    "score": "{:.2f}",
    "tail_probability": "{:.2g}",
    "snr": "{:.2f}",
    "instrument_probability": "{:.2f}",
    "place_wavelength": "{:.1f}",
    "place_rest_wavelength": "{:.1f}",
    "place_width": "{:.1f}",
    "sigma": "{:.1f}",
    "separation": "{:.3f}",
}


@dataclass(frozen=True)
class _View:
    """Columns to show, in order; the same by importance; those that are always shown."""

    names: list[str]
    by_importance: list[str]
    always: tuple[str, ...]


def text_table(frame: pd.DataFrame, width: int | None) -> str:
    """The rows of a query's answer as text with a line of counts below.

    Of an answer with all of :data:`engine.query.query.COLUMNS` the main ones are shown, and what it has
    beside them; else all that it has, in its order.

    Parameters
    ----------
    width : columns are left out, the least important first, until the lines are no longer than that; key and
        score stay, or the first of chosen columns. ``None`` for all columns.
    """
    if {"key", "target_id"} <= set(frame.columns):
        # Of what is not in the store only the identifier that was asked for is known.
        asked = "TARGETID " + frame["target_id"].astype(str)
        frame = frame.assign(key=frame["key"].where(frame["key"] != "", asked))
    view = _usual_view(frame) if set(COLUMNS) <= set(frame.columns) else _chosen_view(frame)
    columns = {name: _lines(name, frame[name]) for name in view.names}
    shown = _fitting(columns, view, math.inf if width is None else width)
    lines = [_GAP.join(parts).rstrip() for parts in zip(*(columns[name] for name in shown), strict=True)]
    absent = int((frame["status"] == NOT_IN_STORE).sum()) if "status" in frame else 0
    found = len(frame) - absent
    missing = f", {absent:,} not in the store" if absent else ""
    lines.append(f"{found:,} {'spectrum' if found == 1 else 'spectra'}{missing}")
    if left_out := [name for name in columns if name not in shown]:
        names = ", ".join(_HEADINGS.get(name, name).replace("\n", " ") for name in left_out)
        lines.append(f"Not shown: {names}. A wider terminal shows more, --format csv all.")
    return "\n".join(line for line in lines if line) + "\n"


def _usual_view(frame: pd.DataFrame) -> _View:
    more = [str(name) for name in frame if name not in COLUMNS]
    says = [name for name in _HEADINGS if name not in _SAYS_SOMETHING or _SAYS_SOMETHING[name](frame[name])]
    return _View([*says, *more], [*_BY_IMPORTANCE, *more], ("key", "score"))


def _chosen_view(frame: pd.DataFrame) -> _View:
    names = [str(name) for name in frame]
    return _View(names, names, tuple(names[:1]))


def _fitting(columns: dict[str, list[str]], view: _View, width: float) -> list[str]:
    """Names of the columns that fit, in the order of ``columns``."""
    chosen: set[str] = set()
    used = -len(_GAP)
    for name in view.by_importance:
        if name in columns:
            needed = len(_GAP) + len(columns[name][0])
            if used + needed <= width or name in view.always:
                chosen.add(name)
                used += needed
    return [name for name in columns if name in chosen]


def _lines(name: str, column: pd.Series) -> list[str]:
    """Two lines of heading and the cells, all of one width."""
    heading = _HEADINGS.get(name, name).split("\n")
    cells = ["", *heading][-2:] + [_cell(name, value) for value in column]
    width = max(map(len, cells))
    is_text = not pd.api.types.is_numeric_dtype(column.dtype)
    return [cell.ljust(width) if is_text else cell.rjust(width) for cell in cells]


def _cell(name: str, value: object) -> str:
    if is_unknown(value):
        return "–"
    return _DIGITS[name].format(value) if name in _DIGITS else printable(str(value)).replace("\n", " ")


def is_unknown(value: object) -> bool:
    """Whether a value of an answer is not known."""
    return value is pd.NA or (isinstance(value, float | np.floating) and not math.isfinite(value))
