"""Tables of text: CSV and ECSV, every value as it is written."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from engine.files.tables.arrow_column import values_of
from engine.files.tables.contents import Contents, places_of, units_in

_DATA = re.compile(r"[+-]?[0-9][0-9.eE+-]*")
_ALONE = re.compile(r"[0-9]+-[0-9]+-[0-9]+|.*/.*")
"""What is no name of a column, where it stands alone in its line."""

_ECSV_DELIMITER = re.compile(r"# delimiter: ['\"]?(.)['\"]?")


@dataclass(frozen=True)
class _Layout:
    """How a file is written: ``skipped`` lines come before the rows, ``header`` is what comments say."""

    names: tuple[str, ...]
    delimiter: str
    skipped: int
    header: str


def read_delimited(path: Path, wanted: frozenset[str]) -> Contents:
    """Raises whatever pyarrow raises for lines of other lengths, and ValueError for a file without lines."""
    layout = _layout(path)
    places = places_of(layout.names, wanted)
    chosen = [str(place) for place in places.values()] or ["0"]
    table = pa.csv.read_csv(
        path,
        read_options=pa.csv.ReadOptions(
            # By place, as two columns can have one name.
            column_names=[str(place) for place in range(len(layout.names))],
            skip_rows=layout.skipped,
        ),
        parse_options=pa.csv.ParseOptions(delimiter=layout.delimiter),
        convert_options=pa.csv.ConvertOptions(
            include_columns=chosen,
            column_types=dict.fromkeys(chosen, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    columns = {name: (place, *values_of(table[str(place)])) for name, place in places.items()}
    return Contents(layout.names, table.num_rows, columns, units_in(layout.header))


def _layout(path: Path) -> _Layout:
    delimiter, header = "", ""
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file):
            if found := _ECSV_DELIMITER.match(line):
                delimiter = found[1]
            elif line.startswith("# %ECSV"):
                delimiter = " "
            if line.strip() and not line.startswith("#"):
                return _first_line(line.strip("\r\n"), delimiter, number, header)
            header += line.removeprefix("#")
    raise ValueError("a file without lines")


def _first_line(line: str, delimiter: str, number: int, header: str) -> _Layout:
    delimiter = delimiter or next((each for each in ",;\t " if each in line.strip()), ",")
    fields = [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]
    alone = len(fields) == 1
    if any(map(_DATA.fullmatch, fields)) or (alone and _ALONE.fullmatch(fields[0])):
        names = ["identifier"] if alone else [f"column {place + 1}" for place in range(len(fields))]
        return _Layout(tuple(names), delimiter, number, header)
    return _Layout(tuple(fields), delimiter, number + 1, header)
