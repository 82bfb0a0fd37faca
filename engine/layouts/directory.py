"""Directory trees on disk or behind an fsspec URL, seen the same way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.file_systems import description_of, fault_of, open_file_system, patiently
from engine.readers.byte_source import is_local, local_path, reading
from models.errors import InputError

SUFFIXES = (".fits", ".fits.gz", ".fit", ".fits.fz")
"""How names of FITS files end."""


def absolute(url: str) -> str:
    """A local path made absolute, so that it means the same to every process; other URLs as they are."""
    if not is_local(url):
        return url.rstrip("/")
    return str(Path(os.path.abspath(local_path(url).expanduser())))  # noqa: PTH100 - keeps symlinks as given


def kind_of(url: str) -> str:
    """``"file"``, ``"directory"`` or, where there is nothing, empty text."""
    if is_local(url):
        path = local_path(url)
        return "directory" if path.is_dir() else "file" if path.exists() else ""
    filesystem, path_in = open_file_system(url)
    with _listing(url):
        try:
            kind = patiently(lambda: filesystem.info(path_in))["type"]
        except FileNotFoundError as error:
            if fault_of(error) == "missing":
                return ""
            raise
        # Over HTTP everything is a file; what lists further links is as good as a directory.
        if kind == "file" and not name_of(url).endswith(SUFFIXES) and filesystem.isdir(path_in):
            kind = "directory"
    return "directory" if kind == "directory" else "file"


def files_below(url: str, suffixes: Sequence[str] = SUFFIXES) -> list[str]:
    """All files below a directory whose names end so, sorted, as full URLs. Hidden ones are left out.

    Raises
    ------
    InputError : a directory may not be read: passing over it would lose its files in silence.
    """
    found: list[str] = []
    if is_local(url):
        for folder, folders, names in os.walk(local_path(url), onerror=_refuse_directory):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [f"{folder}/{name}" for name in names]
    else:
        filesystem, root = open_file_system(url)
        # The path without protocol is what the file system lists; the caller's prefix is put back.
        root = root.rstrip("/")
        with _listing(url):
            filesystem.invalidate_cache()  # what an earlier listing in this process saw
            for path in patiently(lambda: filesystem.find(root)):
                text = str(path)
                if text.startswith(root + "/"):
                    found.append(url.rstrip("/") + text[len(root) :])
                else:
                    found.append(str(filesystem.unstrip_protocol(text)))
    return sorted(
        name
        for name in found
        if name.endswith(tuple(suffixes)) and not name.rpartition("/")[2].startswith(".")
    )


def _refuse_directory(error: OSError) -> None:
    raise _unreadable(str(error.filename), error.strerror or type(error).__name__) from error


@contextmanager
def _listing(url: str) -> Iterator[None]:
    with reading(url):
        try:
            yield
        except Exception as error:
            if fault_of(error) != "refused":
                raise
            refusal = _unreadable(url, description_of(error))
        else:
            return
    raise refusal


def _unreadable(where: str, got: str) -> InputError:
    return InputError(
        "A directory of the release cannot be read.",
        where=where,
        got=got,
        allowed="directories that this user may list",
        remedy="Give read permission or credentials, name a directory below or beside it, or name the files.",
        kind="unreadable-path",
    )


def name_of(url: str) -> str:
    """The last part of a path or URL."""
    return url.rpartition("/")[2]


def directory_of(url: str) -> str:
    """All of a path or URL before its last part."""
    return url.rpartition("/")[0]
