"""Files of the benchmarks: JSON, figures, and directories that are there while they last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.figures.figure_file import check_figure
from models.output_files import check_output, output_file, writing


def check_outputs(output: Path | None, plot: Path | None) -> None:
    """Refuse files that could not be written, before anything is measured.

    Raises
    ------
    InputError : a file's directory does not exist, or the figure's name is not a figure's.
    """
    if output is not None:
        check_output(output)
    if plot is not None:
        check_figure(plot)


def save_json(found: dict[str, Any], path: Path) -> None:
    """Write the JSON.

    Raises
    ------
    InputError : it cannot be written.
    """
    with output_file(path) as partial:
        partial.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n", encoding="utf-8")


@contextmanager
def bench_directory(name: str, directory: Path | None) -> Iterator[Path]:
    """A directory for the benchmark of that name, deleted at the end, in ``directory`` or the system's.

    Raises
    ------
    InputError : the directory cannot be written to.
    """
    if directory is not None:
        with writing(directory):
            directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"whyspec-bench-{name}-", dir=directory) as made:
        yield Path(made)
