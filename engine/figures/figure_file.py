"""Figure files: pictures as PNG, PDF or SVG under a name that the user gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import ErrorKind, InputError
from models.output_files import check_output, output_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = (".png", ".pdf", ".svg")
"""Ends of the names of figures."""


def check_figure(path: Path) -> None:
    """Refuse a figure that could not be written, before any work is done for it.

    Raises
    ------
    InputError : the end of its name is not of a figure, or its directory does not exist.
    """
    if path.suffix.lower() not in KINDS:
        raise InputError(
            "The figure's file name does not say what kind of figure it is.",
            where=str(path),
            got=f"a name that ends in {path.suffix or 'nothing'}",
            allowed=", ".join(KINDS),
            remedy="End the name in .png.",
            kind=ErrorKind.FIGURE_NAME,
        )
    check_output(path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure.

    Raises
    ------
    InputError : see :func:`check_figure`, or the system refuses to write.
    """
    check_figure(path)
    with output_file(path) as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=150)
