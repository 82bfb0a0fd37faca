"""Output files of the benchmarks: JSON and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from models.atomic_files import atomic_file, write_durably
from models.errors import ErrorKind, InputError

_FIGURES = (".png", ".pdf", ".svg")


def check_outputs(output: Path | None, plot: Path | None) -> None:
    """Refuse files that could not be written, before anything is measured.

    Raises
    ------
    InputError : a file's directory does not exist, or the figure's name is not a figure's.
    """
    for path in (output, plot):
        if path is not None and not path.absolute().parent.is_dir():
            raise _unwritable(path, "its directory does not exist")
    if plot is not None and plot.suffix.lower() not in _FIGURES:
        raise _unwritable(plot, f"a name that ends in {plot.suffix or 'nothing'}")


def save_json(found: dict[str, Any], path: Path) -> None:
    """Write the JSON.

    Raises
    ------
    InputError : it cannot be written.
    """
    try:
        write_durably(path, (json.dumps(found, indent=2, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise _unwritable(path, error) from error


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure.

    Raises
    ------
    InputError : it cannot be written.
    """
    try:
        with atomic_file(path) as partial:
            figure.savefig(partial, format=path.suffix[1:].lower(), dpi=150)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError | str) -> InputError:
    return InputError(
        "A result of the benchmark cannot be written.",
        where=str(path),
        got=error,
        allowed=f"a file in a directory that may be written to; {', '.join(_FIGURES)} for the figure",
        remedy="Name another file.",
        kind=ErrorKind.OUTPUT_UNWRITABLE,
    )
