"""Directories of models that are about to be made."""

from __future__ import annotations

from pathlib import Path

from models.errors import ErrorKind, InputError
from models.output_files import check_output_directory


def check_model_directory(directory: Path, known: tuple[str, ...]) -> None:
    """Refuse a directory that holds something else than a model, or could not be written to.

    Parameters
    ----------
    known : names of files, any of which says that it is a model's directory.

    Raises
    ------
    InputError : it holds something, and nothing known; or it cannot be written to.
    """
    check_output_directory(directory)
    if (
        directory.exists()
        and not any((directory / name).exists() for name in known)
        and any(directory.iterdir())
    ):
        raise InputError(
            "The model's directory holds something that is not a model.",
            where=str(directory),
            allowed="a new or empty directory, or one with an earlier model",
            remedy="Choose another -o, or empty the directory yourself.",
            kind=ErrorKind.OUTPUT_OCCUPIED,
        )
