"""Connection to DuckDB that reads the files that it is given and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import duckdb

MEMORY = "768MiB"
"""What DuckDB may hold; a larger sort goes through the temporary directory."""


def connected(files: Sequence[str], threads: int = 0) -> duckdb.DuckDBPyConnection:
    """A database in memory that may read these local files.

    It loads no extension, reads no other file, no variable of Python and nothing over a network, and no
    statement can change that.

    Parameters
    ----------
    threads : 0 for one per CPU.
    """
    spill = Path(tempfile.gettempdir()) / f"whyspec-{uuid4().hex}"  # made by DuckDB where it needs it
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
        "memory_limit": MEMORY,
        "temp_directory": str(spill),
        "preserve_insertion_order": "false",
    }
    if threads:
        settings["threads"] = threads
    connection = duckdb.connect(":memory:", config=settings)
    if files:
        connection.execute(f"SET allowed_paths = [{', '.join(map(literal, files))}]")
    for statement in ("SET enable_external_access = false", "SET lock_configuration = true"):
        connection.execute(statement)
    return connection


def literal(text: str) -> str:
    """A text as SQL has it, whatever its characters."""
    return "'" + text.replace("'", "''") + "'"
