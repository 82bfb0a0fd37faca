"""Output files: files and directories that a user names for results, and errors for those that cannot be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.atomic_files import atomic_directory, atomic_file
from models.errors import ErrorKind, InputError


def check_output(path: Path) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Raises
    ------
    InputError : its directory does not exist, it is a directory itself, or it lies in a store.
    """
    with writing(path):
        for above in path.absolute().parents:
            if (above / "zarr.json").is_file() and (above / "ledger").is_dir():
                raise _unwritable(path, f"a place in the store {above}")
        if path.is_dir():
            raise _unwritable(path, "a directory")
        if not path.absolute().parent.is_dir():
            raise _unwritable(path, "its directory does not exist")


def check_output_directory(path: Path) -> None:
    """Refuse a directory that could not be made or written to, before any work is done for it.

    Raises
    ------
    InputError : it, or the first above it that exists, is a file or may not be written to.
    """
    with writing(path):
        above = path.absolute()
        there = next(each for each in (above, *above.parents) if each.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise _unwritable(path, f"{there} is {'not to be written to' if there.is_dir() else 'a file'}")


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """As :func:`models.atomic_files.atomic_file`, for a file that a user named.

    Raises
    ------
    InputError : it cannot be written; it is then what it was before.
    """
    with writing(path), atomic_file(path) as partial:
        yield partial


def check_new_output(path: Path) -> None:
    """As :func:`check_output`, for a file or directory that must not be there yet.

    Raises
    ------
    InputError : there is something of that name; or see :func:`check_output`.
    """
    if path.exists() or path.is_symlink():
        raise _unwritable(path, "there is something of that name")
    check_output(path)


@contextmanager
def output_directory(path: Path) -> Iterator[Path]:
    """As :func:`models.atomic_files.atomic_directory`, for a directory that a user named.

    Raises
    ------
    InputError : it exists, or cannot be made; nothing is then left of it.
    """
    check_new_output(path)
    with writing(path), atomic_directory(path) as partial:
        yield partial


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A block that writes to a file or directory that a user named, and does nothing else with files.

    Raises
    ------
    InputError : the system refuses to write.
    """
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error.strerror or error) from error


def _unwritable(path: Path, got: object) -> InputError:
    return InputError(
        "The output cannot be written where it is asked for.",
        where=str(path),
        got=got,
        allowed="a place in a directory that exists and is no store, on a disk with room, open to you",
        remedy="Name another place.",
        kind=ErrorKind.OUTPUT_UNWRITABLE,
    )
