"""The report's sortable table of outliers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.attribution.cause import cause_text
from engine.query.chance import largest_by_chance
from engine.report.gather import StoreFacts
from engine.report.words import said

TABLE_ROWS = 500
"""Outliers listed in the report's table; ``whyspec query`` lists all."""


@dataclass(frozen=True)
class Cell:
    """A cell of the table: as shown, and as sorted if it is a number."""

    text: str
    number: bool = False
    value: str = ""


COLUMNS: tuple[dict[str, object], ...] = tuple(
    {"name": name, "number": number}
    for name, number in (
        ("key", False),
        ("z", True),
        ("class", False),
        ("score", True),
        ("tail prob.", True),
        ("S/N", True),
        ("cause", False),
        ("instrument", True),
        ("estimates", False),
        ("place (Å)", True),
        ("rest (Å)", True),
        ("line", False),
        ("width (Å)", True),
        ("flux", False),
        ("sigma", True),
        ("cautions", False),
        ("cluster", True),
        ("RA", True),
        ("Dec", True),
        ("target", False),
        ("ZWARN", True),
        ("fiber", True),
        ("tiles or plate", False),
        ("last night", True),
    )
)


def cells(row: pd.Series) -> list[Cell]:
    """The cells of one outlier, in the order of :data:`COLUMNS`."""
    return [
        Cell(f"{row['key']} (gone)" if row["gone"] else str(row["key"])),
        _number(row["redshift"], ".4f"),
        Cell(str(row["spectype"])),
        _number(row["score"], ".2f"),
        _number(row["tail_probability"], ".2g"),
        _number(row["snr"], ".1f"),
        Cell(cause_text(str(row["cause"]), str(row["other_class"]))),
        _number(row["instrument_probability"], ".0%"),
        Cell(str(row["estimates"])),
        _number(row["place_wavelength"], ".1f"),
        _number(row["place_rest_wavelength"], ".1f"),
        Cell(str(row["line"])),
        _number(row["place_width"], ".3g"),
        Cell(str(row["flux"])),
        _number(row["sigma"], ".1f"),
        Cell(", ".join(said(label) for label in str(row["cautions"]).split())),
        _number(row["cluster"], ".0f"),
        _number(row["ra"], ".5f"),
        _number(row["dec"], "+.5f"),
        Cell(str(row["target_class"])),
        _number(row["zwarn"], ".0f"),
        _counted(row["fiber"]),
        Cell(str(row["tiles"]) or (str(row["plate"]) if row["plate"] >= 0 else "")),
        _counted(row["night_last"]),
    ]


def _counted(number: int) -> Cell:
    """A number of a thing, which is negative where it is not known."""
    return _number(number if number >= 0 else np.nan, ".0f")


def _number(value: object, form: str) -> Cell:
    if pd.isna(value):  # type: ignore[call-overload]
        return Cell("–", True)
    number = float(str(value))
    return Cell(format(number, form), True, repr(number))


def table_note(facts: StoreFacts) -> str:
    """What the table shows."""
    outliers = len(facts.outliers)
    note = f"{largest_by_chance(facts.outliers, facts.scored)} Click a heading to sort.".strip()
    if outliers > TABLE_ROWS:
        every = f"'whyspec query {facts.store} --format csv' lists all."
        note = f"The {TABLE_ROWS} oddest of {outliers:,}; {every} {note}"
    if facts.outliers["gone"].any():
        note += " Marked (gone): its file has vanished from the release since it was read."
    return note
