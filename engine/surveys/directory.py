"""Directory trees on disk or behind an fsspec URL, seen the same way."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from engine.files.byte_source import is_local, local_path, reading
from engine.files.file_systems import description_of, fault_of, open_file_system, retried
from models.errors import ErrorKind, InputError

SUFFIXES = (".fits", ".fits.gz", ".fit", ".fits.fz")
"""How names of FITS files end."""

DEEPEST = 8
"""How many directories deep a tree of no known layout is searched."""

_LISTINGS = 32  # directories asked for at the same time


def absolute(url: str) -> str:
    """A local path made absolute, so that it means the same to every process; other URLs as they are."""
    if not is_local(url):
        return url.rstrip("/")
    return str(Path(os.path.abspath(local_path(url).expanduser())))  # noqa: PTH100 - keeps symlinks as given


def kind_of(url: str) -> str:
    """``"file"``, ``"directory"`` or, where there is nothing, empty text.

    What may not be looked at behind a URL, as directories of many web servers, is taken for a directory
    unless its name is that of a file: its files may be open to those who know their names.
    """
    if is_local(url):
        path = local_path(url)
        return "directory" if path.is_dir() else "file" if path.exists() else ""
    filesystem, path_in = open_file_system(url)
    is_file = name_of(url).endswith(SUFFIXES)
    with _listing(url):
        try:
            kind = retried(lambda: filesystem.info(path_in))["type"]
        except Exception as error:
            if isinstance(error, FileNotFoundError) and fault_of(error) == "missing":
                return ""
            if fault_of(error) == "refused" and not is_file:
                return "directory"
            raise
        # Over HTTP everything is a file; what lists further links is as good as a directory.
        if kind == "file" and not is_file and filesystem.isdir(path_in):
            kind = "directory"
    return "directory" if kind == "directory" else "file"


def subdirectory(root: str, *names: str) -> str:
    """The first of the subdirectories that exists, or empty text."""
    return next((f"{root}/{name}" for name in names if kind_of(f"{root}/{name}") == "directory"), "")


def files_below(
    url: str,
    suffixes: Sequence[str] = SUFFIXES,
    depth: int = DEEPEST,
    skip: Collection[str] = (),
) -> list[str]:
    """The files below a directory whose names end so, sorted, as full URLs. Hidden ones are left out.

    Parameters
    ----------
    depth : how many directories deep files are looked for; 0 for the directory itself.
    skip : names of directories that are not looked into.

    Raises
    ------
    InputError : a directory may not be read: passing over it would lose its files in silence.
    """
    walk = _walk_local if is_local(url) else _walk_remote
    endings = tuple(suffixes)
    return sorted(
        f"{folder}/{name}"
        for folder, names in walk(url, depth, frozenset(skip))
        for name in names
        if name.endswith(endings) and not name.startswith(".")
    )


def _walk_local(url: str, depth: int, skip: frozenset[str]) -> Iterator[tuple[str, list[str]]]:
    top = str(local_path(url))
    below = len(top.rstrip("/"))
    for folder, folders, names in os.walk(top, onerror=_refuse_directory):
        if folder.count("/", below) >= depth:
            folders.clear()
        folders[:] = [name for name in folders if not name.startswith(".") and name not in skip]
        yield folder, names


def _walk_remote(url: str, depth: int, skip: frozenset[str]) -> Iterator[tuple[str, list[str]]]:
    """Level by level, the directories of each asked for together: every answer takes a while."""
    filesystem, _ = open_file_system(url)
    filesystem.invalidate_cache()  # what an earlier listing in this process saw

    def entries(folder: str) -> tuple[str, list[str], list[str]]:
        path = str(filesystem._strip_protocol(folder))
        with _listing(folder):
            found = retried(lambda: filesystem.ls(path, detail=True))
        inside = [entry for entry in found if str(entry["name"]).rstrip("/") != path.rstrip("/")]
        parts: dict[bool, list[str]] = {True: [], False: []}
        for entry in inside:
            parts[entry["type"] == "directory"].append(name_of(str(entry["name"]).rstrip("/")))
        return folder, parts[True], parts[False]

    level = [url.rstrip("/")]
    with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="walking") as pool:
        for _ in range(depth + 1):
            below: list[str] = []
            for folder, folders, names in pool.map(entries, level):
                yield folder, names
                below += [
                    f"{folder}/{name}" for name in folders if not name.startswith(".") and name not in skip
                ]
            level = below


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
        kind=ErrorKind.UNREADABLE_PATH,
    )


def name_of(url: str) -> str:
    """The last part of a path or URL."""
    return url.rpartition("/")[2]


def directory_of(url: str) -> str:
    """All of a path or URL before its last part."""
    return url.rpartition("/")[0]
