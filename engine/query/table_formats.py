"""A query's answer as people and programs want it, in one of seven formats, losing no digit."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from engine.query.column_meanings import IDENTIFIERS, meaning_of
from engine.query.text_table import is_unknown, text_table
from models.errors import ConfigurationError, ErrorKind
from models.output_files import output_file
from models.plain_text import escaped, no_formula, printable

TableFormat = Literal["table", "csv", "json", "parquet", "fits", "votable", "ecsv"]

AnswerFormat = TableFormat | Literal["list"]
"""Of an answer: a table, or a list for viewers (:mod:`engine.query.viewer_list`)."""

_SUFFIXES: dict[str, AnswerFormat] = {
    ".txt": "table",
    ".csv": "csv",
    ".json": "json",
    ".parquet": "parquet",
    ".fits": "fits",
    ".vot": "votable",
    ".ecsv": "ecsv",
    ".lst": "list",
}
_BINARY = ("parquet", "fits")
_LARGEST_EXACT = 1 << 53
"""Integers up to this are exact for readers that take numbers for floats."""


def chosen_format(asked: AnswerFormat | None, target: Path | None) -> AnswerFormat:
    """The format asked for, else that of the file's name, else text for standard output.

    Raises
    ------
    ConfigurationError : the name says another format, or none where none is asked for; the format needs a
        file.
    """
    end = target.suffix.lower() if target is not None else ""
    named = _SUFFIXES.get(end)
    if named and asked not in (None, named):
        raise _refused(
            "The file's name says another format than the one asked for.",
            where=f"-o {target}",
            got=f"a name that ends in {end} for {asked}",
            remedy=f"End the name otherwise, or leave the format out to get {named}.",
        )
    if target is not None and not (named or asked):
        raise _refused(
            "The file's name does not say which format the file is to have.",
            where=f"-o {target}",
            got=f"a name that ends in {end or 'nothing'}",
            remedy="End the name as one of the allowed, or add --format.",
        )
    if target is None and asked in _BINARY:
        raise _refused(
            "The format is binary and is not written to a terminal.",
            where=f"--format {asked}",
            got="no file",
            remedy=f"Add -o FILE.{asked}, or choose csv or json.",
        )
    return asked or named or "table"


def chosen_table_format(target: Path | None) -> TableFormat:
    """The format of a table that the file's name says; text for standard output.

    Raises
    ------
    ConfigurationError : the name says none, or a list.
    """
    chosen = chosen_format(None, target)
    if chosen == "list":
        raise _refused(
            "A list for viewers is made by a query alone.",
            where=f"-o {target}",
            got="a name that ends in .lst",
            remedy="End the name as one of a table, or ask by 'whyspec query --format list'.",
        )
    return chosen


def write_table(frame: pd.DataFrame, table_format: TableFormat, target: Path | None = None) -> None:
    """Write a query's answer.

    ``table`` is for reading: the main columns, or those that were chosen, with few digits. The others hold
    all columns with every digit. ``json`` is one list of objects. It has identifiers as strings, because they
    exceed 2**53 and readers that take numbers for floats would change them, and null for unknown.
    ``parquet``, ``fits``, ``votable`` and ``ecsv`` hold the columns in their own types, with units and
    descriptions. FITS knows ASCII alone:
    there Greek letters are spelt, as in ``Halpha``, and other characters are escaped. VOTable has no unsigned
    integers of 64 bits: SPECOBJIDs are texts there. In ``csv`` a text that a spreadsheet would take for a
    formula begins with an apostrophe. In ``csv``, ``votable`` and ``ecsv`` pictures stand for control
    characters.

    Parameters
    ----------
    target : file; standard output if ``None``. Binary formats need a file.

    Raises
    ------
    InputError : the file cannot be written.
    """
    if target is not None:
        with output_file(target) as partial:
            partial.write_bytes(_bytes(frame, table_format))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        sys.stdout.write(_text(frame, table_format, width))


def write_text(text: str, target: Path | None) -> None:
    """Write a text to a file, or to standard output if there is none.

    Raises
    ------
    InputError : the file cannot be written.
    """
    if target is None:
        sys.stdout.write(text)
        return
    with output_file(target) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def _bytes(frame: pd.DataFrame, table_format: TableFormat) -> bytes:
    if table_format == "parquet":
        return _parquet(frame)
    if table_format == "fits":
        from engine.query.astropy_table import fits_bytes

        return fits_bytes(frame)
    return _text(frame, table_format, None).encode("utf-8", "backslashreplace")


def _text(frame: pd.DataFrame, table_format: TableFormat, width: int | None) -> str:
    if table_format == "csv":
        # NumPy's shortest text that reads back to the same number, for float32 as for float64.
        names = [str(name) for name in frame if frame[name].dtype == "str"]
        texts = {name: [no_formula(printable(text)) for text in frame[name]] for name in names}
        return frame.assign(**texts).to_csv(index=False, lineterminator="\n")
    if table_format in ("votable", "ecsv"):
        # Imported here, as in other formats nothing needs astropy, which takes a third of a second.
        from engine.query import astropy_table

        write = astropy_table.votable_bytes if table_format == "votable" else astropy_table.ecsv_bytes
        return write(frame).decode()
    return to_json(frame) if table_format == "json" else text_table(frame, width)


def to_json(frame: pd.DataFrame) -> str:
    """The rows as a JSON list of objects, one per line; see :func:`write_table`."""
    columns = {str(name): list(frame[name].array) for name in frame.columns}
    records = [
        {name: _json_value(name, value) for name, value in zip(columns, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]
    texts = (json.dumps(record, ensure_ascii=False, allow_nan=False) for record in records)
    lines = escaped(",\n".join(texts))
    return f"[\n{lines}\n]\n" if records else "[]\n"


def _json_value(name: str, value: object) -> object:
    if is_unknown(value):
        return None
    if isinstance(value, int | np.integer) and (name in IDENTIFIERS or abs(int(value)) > _LARGEST_EXACT):
        return str(value)
    if isinstance(value, np.float32):
        return float(str(value))  # the shortest number that reads back to this float32, as in csv
    return value.item() if isinstance(value, np.generic) else value


def arrow_table(frame: pd.DataFrame) -> pa.Table:
    """A frame as Arrow has it, with unit and description in the metadata of each field."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [field.with_metadata(_metadata(field.name)) for field in table.schema]
    return table.cast(pa.schema(fields, metadata=table.schema.metadata))


def _parquet(frame: pd.DataFrame) -> bytes:
    content = io.BytesIO()
    pa.parquet.write_table(arrow_table(frame), content)
    return content.getvalue()


def _metadata(name: str) -> dict[str, str]:
    meaning = meaning_of(name)
    every = {"unit": meaning.unit, "description": meaning.description}
    return {key: text for key, text in every.items() if text}


def _refused(what: str, where: str, got: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(
        what,
        where=where,
        got=got,
        allowed=", ".join(f"{name} ({suffix})" for suffix, name in _SUFFIXES.items()),
        remedy=remedy,
        kind=ErrorKind.TABLE_FORMAT,
    )
