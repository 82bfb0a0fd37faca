"""The output directory of an evaluation, and the files in it."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from models.atomic_files import write_durably
from models.errors import ErrorKind, InputError


def make_output(directory: Path) -> None:
    """Make the directory, before anything is computed.

    Raises
    ------
    InputError : it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(directory, error) from error


def write_output(directory: Path, contents: Mapping[str, str | Figure]) -> tuple[Path, ...]:
    """Write texts and figures (PNG) under their names; earlier ones are replaced. Returns their paths.

    Raises
    ------
    InputError : they cannot be written.
    """
    try:
        for name, content in contents.items():
            write_durably(directory / name, _bytes(content))
    except OSError as error:
        raise _unwritable(directory, error) from error
    return tuple(directory / name for name in contents)


def _bytes(content: str | Figure) -> bytes:
    if isinstance(content, str):
        return content.encode()
    picture = BytesIO()
    content.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def _unwritable(directory: Path, error: OSError) -> InputError:
    return InputError(
        "The results of the evaluation cannot be written.",
        where=str(directory),
        got=error,
        allowed="a directory that may be written to",
        remedy="Name another --out.",
        kind=ErrorKind.OUTPUT_UNWRITABLE,
    )
