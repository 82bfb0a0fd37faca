"""A query's answer as people and programs want it: table, csv, json or parquet, losing no digit."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import IO, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from rich.console import Console
from rich.table import Table

from models.atomic_files import atomic_file
from models.errors import ConfigurationError, ErrorKind

TableFormat = Literal["table", "csv", "json", "parquet"]

_SHORT = {
    "redshift": "{:.4f}",
    "score": "{:.2f}",
    "tail_probability": "{:.2g}",
    "tail_uncertainty": "{:.2f}",
    "snr": "{:.2f}",
    "peak_wavelength": "{:.1f}",
    "peak_rest_wavelength": "{:.1f}",
    "peak_window_angstrom": "{:.1f}",
    "ra": "{:.5f}",
    "dec": "{:+.5f}",
}
"""Digits of the table for people; the other formats keep all."""

_NARROW = (
    "key",
    "redshift",
    "spectype",
    "score",
    "tail_probability",
    "snr",
    "peak_wavelength",
    "peak_rest_wavelength",
    "line",
    "peak_window_angstrom",
    "cluster",
    "status",
)
"""Columns of the table for people; the key holds the TARGETID, the other formats have all columns."""


def write_table(frame: pd.DataFrame, table_format: str, target: Path | IO[str] | None = None) -> None:
    """Write a query's answer.

    ``table`` is for reading and shows the main columns, shortened. ``csv`` and ``json`` (one list of
    objects) hold all columns with every digit; JSON has ``target_id`` as a string, because it exceeds
    2**53 and readers that take numbers for floats would change it, and null for unknown. ``parquet``
    holds the columns in their own types.

    Parameters
    ----------
    target : file, or open text stream; standard output if ``None``. Parquet needs a file.

    Raises
    ------
    ConfigurationError : unknown format, or parquet without a file.
    """
    if table_format not in get_args(TableFormat):
        raise ConfigurationError(
            "There is no table format of that name.",
            where="--format",
            got=table_format,
            allowed=", ".join(get_args(TableFormat)),
            remedy="Choose one of the allowed formats.",
            kind=ErrorKind.TABLE_FORMAT,
        )
    if table_format == "parquet":
        if not isinstance(target, Path):
            raise ConfigurationError(
                "Parquet is a binary format and is not written to a terminal.",
                where="--format parquet",
                allowed="an output file",
                remedy="Add -o FILE.parquet, or choose csv or json.",
                kind=ErrorKind.TABLE_FORMAT,
            )
        with atomic_file(target) as partial:
            pa.parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), partial)
        return
    if isinstance(target, Path):
        with atomic_file(target) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
            _write_text(frame, table_format, stream)
    else:
        _write_text(frame, table_format, target or sys.stdout)


def _write_text(frame: pd.DataFrame, table_format: str, stream: IO[str]) -> None:
    if table_format == "csv":
        # NumPy's shortest text that reads back to the same number, for float32 as for float64.
        frame.to_csv(stream, index=False, lineterminator="\n")
    elif table_format == "json":
        stream.write(to_json(frame))
    else:
        _print_table(frame, stream)


def to_json(frame: pd.DataFrame) -> str:
    """The rows as a JSON list of objects, one per line; see :func:`write_table`."""
    columns = {str(name): list(frame[name].array) for name in frame.columns}
    records = [
        {name: _json_value(name, value) for name, value in zip(columns, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]
    lines = ",\n".join(json.dumps(record, ensure_ascii=False, allow_nan=False) for record in records)
    return f"[\n{lines}\n]\n" if records else "[]\n"


def _json_value(name: str, value: object) -> object:
    if name == "target_id":
        return str(value)
    if _unknown(value):
        return None
    if isinstance(value, np.float32):
        return float(str(value))  # the shortest number that reads back to this float32, as in csv
    return value.item() if isinstance(value, np.generic) else value


def _unknown(value: object) -> bool:
    return value is pd.NA or (isinstance(value, float | np.floating) and not math.isfinite(value))


def _print_table(frame: pd.DataFrame, stream: IO[str]) -> None:
    table = Table(header_style="bold", box=None, pad_edge=False)
    shown = [name for name in _NARROW if name in frame.columns]
    if "signatures" in frame.columns and (frame["signatures"] != "").any():
        shown.append("signatures")
    if "gone" in frame.columns and frame["gone"].any():
        shown.append("gone")
    if "model" in frame.columns and frame["model"].nunique() > 1:
        shown.insert(shown.index("spectype") + 1, "model")
    for name in shown:
        text = name in ("key", "spectype", "model", "line", "status", "signatures")
        side: Literal["left", "right"] = "left" if text else "right"
        table.add_column(name.replace("_", " "), justify=side, overflow="fold", no_wrap=name == "key")
    # Of what is not in the store only the identifier that was asked for is known.
    asked = "TARGETID " + frame["target_id"].astype(str)
    named = frame.assign(key=frame["key"].where(frame["key"] != "", asked))
    for row in named[shown].itertuples(index=False, name=None):
        table.add_row(*(_cell(name, value) for name, value in zip(shown, row, strict=True)))
    console = Console(file=stream, markup=False, highlight=False, width=None if stream.isatty() else 200)
    console.print(table)
    console.print(f"{len(frame):,} {'spectrum' if len(frame) == 1 else 'spectra'}")


def _cell(name: str, value: object) -> str:
    if _unknown(value):
        return "–"
    return _SHORT[name].format(value) if name in _SHORT else str(value)
