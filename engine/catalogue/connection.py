"""Connection to DuckDB that reads the files that it is given and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

MEMORY = "768MiB"
"""What DuckDB may hold; a larger sort goes through the temporary directory."""


def connected(files: Sequence[str], threads: int = 0, file_system: Any = None) -> duckdb.DuckDBPyConnection:
    """A database in memory that may read these files.

    It loads no extension, reads no other file, no variable of Python and nothing over a network by itself,
    and no statement can change that.

    Parameters
    ----------
    threads : 0 for one per CPU.
    file_system : of fsspec, that has the files; None where they are local.
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
    if file_system is not None:
        connection.register_filesystem(file_system)
    if files:
        connection.execute(f"SET allowed_paths = [{', '.join(map(literal, files))}]")
    # Files never change, and a question opens each of them more than once.
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def literal(text: str) -> str:
    """A text as SQL has it, whatever its characters."""
    return "'" + text.replace("'", "''") + "'"
