"""Directories of models that are about to be made."""

from __future__ import annotations

from pathlib import Path

from models.errors import ErrorKind, InputError


def check_model_directory(directory: Path, known: tuple[str, ...], option: str) -> None:
    """Refuse a directory that holds something else than a model.

    Parameters
    ----------
    known : names of files, any of which says that it is a model's directory.
    option : by which the user names the directory.

    Raises
    ------
    InputError : it holds something, and nothing known.
    """
    if (
        directory.exists()
        and not any((directory / name).exists() for name in known)
        and (not directory.is_dir() or any(directory.iterdir()))
    ):
        raise InputError(
            "The model's directory holds something that is not a model.",
            where=str(directory),
            allowed="a new or empty directory, or one with an earlier model",
            remedy=f"Choose another {option}, or empty the directory yourself.",
            kind=ErrorKind.OUTPUT_OCCUPIED,
        )
