"""Output files of the benchmarks: JSON and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.figures.figure_file import check_figure
from models.output_files import check_output, output_file


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
