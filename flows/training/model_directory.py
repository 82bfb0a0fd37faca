"""Directories of models that are about to be made."""

from __future__ import annotations

from pathlib import Path

from models.errors import ErrorKind, InputError
from models.output_files import writing


def make_model_directory(directory: Path, known: tuple[str, ...]) -> None:
    """Make the directory of a model, before anything is computed; refuse one that holds something else.

    Parameters
    ----------
    known : names of files, any of which says that it is a model's directory.

    Raises
    ------
    InputError : it holds something, and nothing known; or it cannot be made.
    """
    with writing(directory):
        if (
            directory.exists()
            and not any((directory / name).exists() for name in known)
            and (not directory.is_dir() or any(directory.iterdir()))
        ):
            raise InputError(
                "The model's directory holds something that is not a model.",
                where=str(directory),
                allowed="a new or empty directory, or one with an earlier model",
                remedy="Choose another -o, or empty the directory yourself.",
                kind=ErrorKind.OUTPUT_OCCUPIED,
            )
        directory.mkdir(parents=True, exist_ok=True)
