"""Directory trees on disk or behind an fsspec URL, seen the same way."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.files.byte_source import is_local, local_path, reading
from engine.files.file_systems import description_of, fault_of, open_file_system, retried
from engine.spectra.source_file import RefusedFile
from models.errors import ErrorKind, InputError, QuarantineError

SUFFIXES = (".fits", ".fits.gz", ".fit", ".fits.fz")
"""How names of FITS files end."""

PACKINGS = (".gz", ".fz")
"""What the names of compressed FITS files (gzip, fpack) have behind the name of the file."""

DEEPEST = 16
"""How many directories deep a tree behind a URL is walked: a server may link a directory to itself."""

LARGEST_INDEX = 1 << 30
"""Bytes of the largest answer of a web server that is taken for the index of a directory."""

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
    is_file = name_of(url).endswith(SUFFIXES)
    with _listing(url):
        filesystem, path_in = open_file_system(url)
        try:
            info = retried(lambda: filesystem.info(path_in))
        except Exception as error:
            if isinstance(error, FileNotFoundError) and fault_of(error) == "missing":
                return ""
            if fault_of(error) == "refused" and not is_file:
                return "directory"
            raise
        # Over HTTP everything is a file; what lists further links is as good as a directory.
        may_list = info["type"] == "file" and not is_file and (info.get("size") or 0) < LARGEST_INDEX
        if info["type"] == "directory" or (may_list and filesystem.isdir(path_in)):
            return "directory"
    return "file"


def subdirectory(root: str, *names: str) -> str:
    """The first of the subdirectories that exists, or empty text."""
    return next((f"{root}/{name}" for name in names if kind_of(f"{root}/{name}") == "directory"), "")


@dataclass(frozen=True, slots=True)
class FilesBelow:
    """What a walk through a directory found.

    Attributes
    ----------
    urls : full URLs of the files, sorted.
    unseen : what could not be looked into, each with the reason.
    """

    urls: list[str]
    unseen: tuple[RefusedFile, ...]


@dataclass
class _Folder:
    """One directory of a walk, with the names of its files."""

    url: str
    names: list[str] = field(default_factory=list)
    unseen: list[QuarantineError] = field(default_factory=list)


def files_below(url: str, suffixes: Sequence[str] = SUFFIXES, skip: Collection[str] = ()) -> FilesBelow:
    """The files below a directory whose names end so. Hidden ones are left out.

    Symbolic links to directories are followed. A directory on a disk is listed once: by its own path where it
    lies below ``url``, else by the first link to it.

    Parameters
    ----------
    skip : names of directories that are not looked into.

    Raises
    ------
    InputError : a directory may not be read: passing over it would lose its files in silence.
    """
    walk = _walk_local if is_local(url) else _walk_remote
    endings = tuple(suffixes)
    urls: list[str] = []
    refused: list[RefusedFile] = []
    for folder in walk(url, frozenset(skip)):
        urls += [f"{folder.url}/{name}" for name in folder.names if name.endswith(endings)]
        refused += [RefusedFile(error.where, error.kind, str(error)) for error in folder.unseen]
    return FilesBelow(sorted(urls), tuple(sorted(refused, key=lambda file: file.url)))


def _walk_local(url: str, skip: frozenset[str]) -> Iterator[_Folder]:
    """Directories by their own paths first, then those that only links lead to."""
    top = local_path(url)
    # What holds the release is no part of it: a link there would lead round in a circle.
    seen = {_identity(str(parent)) for parent in top.resolve().parents}
    waiting = deque([str(top)])
    while waiting:
        path = waiting.popleft()
        try:
            if (identity := _identity(path)) in seen:
                continue
            seen.add(identity)
            with os.scandir(path) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            raise _unreadable(path, error.strerror or type(error).__name__) from error
        folder, below = _Folder(path), []
        for entry in entries:
            match "" if entry.name.startswith(".") or entry.name in skip else _kind_of_entry(entry):
                case "file":
                    folder.names.append(entry.name)
                case "directory":
                    below.append(entry.path)
                case "linked directory":
                    waiting.append(entry.path)
                case "dangling link":
                    folder.unseen.append(_leads_nowhere(entry.path))
        waiting.extendleft(reversed(below))
        yield folder


def _kind_of_entry(entry: os.DirEntry[str]) -> str:
    if not entry.is_symlink():
        return "directory" if entry.is_dir() else "file"
    try:
        state = entry.stat()
    except OSError:
        # With a name of FITS it is refused like any file that cannot be read.
        return "file" if entry.name.endswith(SUFFIXES) else "dangling link"
    return "linked directory" if stat.S_ISDIR(state.st_mode) else "file"


def _identity(path: str) -> tuple[int, int]:
    state = os.stat(path)  # noqa: PTH116 - tens of thousands of directories
    return state.st_dev, state.st_ino


def _walk_remote(url: str, skip: frozenset[str]) -> Iterator[_Folder]:
    """Level by level, the directories of each asked for together: every answer takes a while."""
    filesystem, _ = open_file_system(url)
    filesystem.invalidate_cache()  # what an earlier listing in this process saw

    def entries(folder: str) -> tuple[_Folder, list[str]]:
        path = str(filesystem._strip_protocol(folder))
        with _listing(folder):
            found = retried(lambda: filesystem.ls(path, detail=True))
        inside = [entry for entry in found if str(entry["name"]).rstrip("/") != path.rstrip("/")]
        parts: dict[bool, list[str]] = {True: [], False: []}
        for entry in inside:
            name = name_of(str(entry["name"]).rstrip("/"))
            if not name.startswith(".") and name not in skip:
                parts[entry["type"] == "directory"].append(name)
        return _Folder(folder, parts[False]), [f"{folder}/{name}" for name in parts[True]]

    level = [url.rstrip("/")]
    with ThreadPoolExecutor(_LISTINGS, thread_name_prefix="walking") as pool:
        for _ in range(DEEPEST + 1):
            below: list[str] = []
            for folder, folders in pool.map(entries, level):
                yield folder
                below += folders
            level = below
    for folder_url in level:
        yield _Folder(folder_url, unseen=[_too_deep(folder_url, url)])


def _leads_nowhere(path: str) -> QuarantineError:
    return QuarantineError(
        "A symbolic link of the release leads nowhere.",
        where=path,
        got=f"a link to {os.readlink(path)}",  # noqa: PTH115
        allowed="a link to a file or directory",
        remedy="If spectra are behind it, mount their disk or repair the link; otherwise delete it.",
        kind=ErrorKind.MISSING_FILE,
    )


def _too_deep(url: str, root: str) -> QuarantineError:
    return QuarantineError(
        "A directory lies too deep to be looked into.",
        where=url,
        got=f"more than {DEEPEST} directories below {root}",
        remedy="Name a directory below the release's as the release. Perhaps the server links a directory to "
        "itself.",
        kind=ErrorKind.TOO_DEEP,
    )


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


def unpacked(url: str) -> str:
    """A path or URL without what says that the file is compressed."""
    return next((url.removesuffix(end) for end in PACKINGS if url.endswith(end)), url)


def name_of(url: str) -> str:
    """The last part of a path or URL."""
    return url.rpartition("/")[2]


def directory_of(url: str) -> str:
    """All of a path or URL before its last part."""
    return url.rpartition("/")[0]
