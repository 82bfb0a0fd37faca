"""The output directory of an evaluation, and the files in it."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from models.atomic_files import write_durably
from models.output_files import writing


def make_output(directory: Path) -> None:
    """Make the directory, before anything is computed.

    Raises
    ------
    InputError : it cannot be made.
    """
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)


def write_output(directory: Path, contents: Mapping[str, str | Figure]) -> tuple[Path, ...]:
    """Write texts and figures (PNG) under their names; earlier ones are replaced. Returns their paths.

    Raises
    ------
    InputError : they cannot be written.
    """
    for name, content in contents.items():
        with writing(directory / name):
            write_durably(directory / name, _bytes(content))
    return tuple(directory / name for name in contents)


def _bytes(content: str | Figure) -> bytes:
    if isinstance(content, str):
        return content.encode()
    picture = BytesIO()
    content.savefig(picture, format="png", dpi=110)
    return picture.getvalue()
