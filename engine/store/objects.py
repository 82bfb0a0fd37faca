"""Objects of a store: bytes under a path, at any fsspec URL, put there whole or not at all.

A store may come from others, or be damaged. So a path that leads out of it is neither read nor written. On a
disk a store holds directories and regular files only: whatever else is found under one of its names, a link,
a pipe, a device, is not opened.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from engine.files.file_systems import description_of, fault_of, open_file_system, retried
from engine.store.blocks import WrittenObject
from models.atomic_files import create_durably, make_directories, write_durably
from models.digests import digest_of, digest_of_file
from models.errors import ErrorKind, InputError, RetryError, StoreError

_LARGEST_PLAN = 2**31
_LARGEST_DOCUMENT = 2**26
_LARGEST = 2**32
"""Bytes of the largest object: a plan of millions of files, the entry of a block of millions of outliers, a
block of long explanations."""

FOREIGN = -1
"""Stands for the size of what is no regular file."""

_WRITERS = 8
"""Objects written at once: hides the time that a disk takes to sync, and a bucket to answer."""

_REFUSED = {errno.EROFS, errno.ENAMETOOLONG}

OnDamage = Callable[[StoreError], None]
"""What is done about a damaged object."""


def raised(error: StoreError) -> None:
    """A damaged object ends the reading."""
    raise error


@dataclass(frozen=True, slots=True)
class _Entry:
    """An object as a listing shows it; ``written`` (POSIX time) is unknown where no times are kept."""

    size: int
    written: float | None


class ObjectTree:
    """The objects below one fsspec URL; paths are relative to it and use ``/``.

    The tree of a folder of a store (:meth:`below`) begins in that folder, and follows no link there.

    Local objects are written beside their place, synced to the disk, moved into place, and their
    directory is synced: after :meth:`put` returns, they survive a crash. Elsewhere an object is put
    by one request. Instances can be pickled.
    """

    def __init__(self, url: str, folder: str = "") -> None:
        self._store = url.rstrip("/") if len(url) > 1 else url
        self._begins = folder
        self.url = f"{self._store}/{folder}" if folder else self._store
        self._fs, self._top = open_file_system(self._store)
        self._root = f"{self._top}/{folder}" if folder else self._top
        self._local = isinstance(self._fs, LocalFileSystem)

    def __reduce__(self) -> tuple[type[ObjectTree], tuple[str, str]]:
        return ObjectTree, (self._store, self._begins)

    def below(self, folder: str) -> ObjectTree:
        """The tree of a folder."""
        return ObjectTree(self._store, f"{self._begins}/{folder}".lstrip("/"))

    @property
    def is_local(self) -> bool:
        """Whether the objects are files of this machine."""
        return self._local

    @property
    def root(self) -> str:
        """The store's path in its file system."""
        return self._root

    def check(self, path: str) -> None:
        """Refuse to open what is no object of the store, within :meth:`reading`.

        Raises
        ------
        StoreError : the path leads out of the store; or what is there is no regular file, or is too large.
        """
        place = self._place(path)
        found = _status(place) if self._local else None
        size, most = found.st_size if found is not None else 0, largest(path)
        if size > most:
            raise StoreError(
                "An object of the store is larger than any that whyspec writes there.",
                where=f"{self.url}/{path}",
                got=f"{size:,} bytes",
                allowed=f"at most {most:,} bytes",
                remedy=_DELETE,
                kind=ErrorKind.FOREIGN_OBJECT,
            )

    def put(self, path: str, data: bytes) -> WrittenObject:
        """Write one whole object, durably; an object of that path is replaced.

        Raises
        ------
        InputError : the place does not let anything be written.
        RetryError : it failed in a way that may pass (network, full disk).
        StoreError : see :meth:`check`.
        """
        with self._writing(path):
            place = self._place(path)
            if self._local:
                make_directories(place.parent)
                write_durably(place, data)
            else:
                retried(lambda: self._fs.pipe_file(f"{self._root}/{path}", data))
        return WrittenObject(path, len(data), digest_of(data))

    def create(self, path: str, data: bytes) -> bool:
        """Write one whole object if there is none of that path; false, and nothing written, if there is.

        Of several processes that create the same path at once, one does: by a hard link on disks (also
        on NFS, where exclusive opening used to be unsafe), by ``If-None-Match`` on S3. Where fsspec
        knows of neither it looks first, so two may both succeed: look again afterwards.

        Raises
        ------
        InputError : the place does not let anything be written.
        RetryError : it failed in a way that may pass.
        StoreError : see :meth:`check`.
        """
        with self._writing(path):
            place = self._place(path)
            if self._local:
                make_directories(place.parent)
                return create_durably(place, data)
            try:
                self._fs.pipe_file(f"{self._root}/{path}", data, mode="create")
            except Exception as error:
                if isinstance(error, FileExistsError) or _is_conflict(error):
                    return False
                raise
        return True

    def put_all(self, objects: Iterable[tuple[str, bytes]]) -> tuple[WrittenObject, ...]:
        """Write many objects as :meth:`put` does, a few at a time, in any order; all are written on return.

        ``objects`` may be a generator that makes each object's bytes: the next is made while those
        before it are written.
        """
        with ThreadPoolExecutor(_WRITERS) as pool:
            waiting = [pool.submit(self.put, path, data) for path, data in objects]
        return tuple(each.result() for each in waiting)

    def get(self, path: str) -> bytes:
        """The bytes of an object.

        Raises
        ------
        FileNotFoundError : there is none of that path.
        RetryError : reading failed in a way that may pass.
        StoreError : see :meth:`check`.
        """
        with self.reading(path):
            self.check(path)
            if self._local:
                return (Path(self._root) / path).read_bytes()
            return bytes(retried(lambda: self._fs.cat_file(f"{self._root}/{path}")))

    def digest(self, path: str) -> str:
        """Digest of an object's bytes; a local one is not held in memory.

        Raises
        ------
        FileNotFoundError, RetryError, StoreError : see :meth:`get`.
        """
        if not self._local:
            return digest_of(self.get(path))
        with self.reading(path):
            self.check(path)
            with (Path(self._root) / path).open("rb") as stream:
                return digest_of_file(stream)

    def get_all(self, paths: Sequence[str], on_damage: OnDamage = raised) -> dict[str, bytes]:
        """The bytes of many objects at once (concurrently where the file system can).

        ``on_damage`` is called with the error of each that :meth:`get` refuses; if it returns, the object is
        left out.
        """
        if self._local:
            found = {}
            for path in paths:
                try:
                    found[path] = self.get(path)
                except StoreError as error:
                    on_damage(error)
            return found
        whole = {f"{self._root}/{path}": path for path in paths if self._place(path)}
        if not whole:
            return {}
        with self.reading(f"{paths[0]} and {len(paths) - 1} more"):
            data: dict[str, bytes] = retried(lambda: self._fs.cat(list(whole)))
            # Some file systems answer one path without, and all with, a leading slash.
            stripped = {name.lstrip("/"): each for name, each in data.items()}
            return {path: stripped[name.lstrip("/")] for name, path in whole.items()}

    def ranges(self, asked: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Bytes ``[start, stop)`` of objects, asked for together; fewer where an object ends before.

        Raises
        ------
        FileNotFoundError, RetryError, StoreError : see :meth:`get`.
        """
        if not asked:
            return []
        with self.reading(f"{asked[0][0]} and {len(asked) - 1} more"):
            if self._local:
                return [self._range(*each) for each in asked]
            paths, starts, stops = map(list, zip(*asked, strict=True))
            whole = [f"{self._root}/{path}" for path in paths if self._place(path)]
            found = retried(lambda: self._fs.cat_ranges(whole, starts, stops, on_error="raise"))
            # A server without ranges sends the whole object.
            return [
                bytes(data if len(data) <= stop - start else data[start:stop])
                for data, (_, start, stop) in zip(found, asked, strict=True)
            ]

    def _range(self, path: str, start: int, stop: int) -> bytes:
        self.check(path)
        with (Path(self._root) / path).open("rb") as stream:
            stream.seek(start)
            return stream.read(stop - start)

    def sizes(self, below: str = "") -> dict[str, int]:
        """Path and size of every object below a folder, by one listing, sorted by path.

        What is no regular file is listed, not followed, and its size is :data:`FOREIGN`.

        Raises
        ------
        StoreError : the folder leads out of the store, or is none.
        """
        return {path: entry.size for path, entry in sorted(self._listed(below).items())}

    def newest(self, below: str) -> datetime | None:
        """When the newest object below a folder was written, by the clock of what keeps it; ``None`` if none.

        Unknown, and so ``None``, on file systems that keep no times.
        """
        known = [entry.written for entry in self._listed(below).values() if entry.written is not None]
        return datetime.fromtimestamp(min(max(known), _LAST_TIME), UTC) if known else None

    def delete(self, paths: Iterable[str]) -> None:
        """Delete objects; those that are not there are left alone. Of a link, the link is deleted."""
        for path in paths:
            with self._writing(path), contextlib.suppress(FileNotFoundError):
                folder, _, name = path.rpartition("/")
                place = self._folder(folder, path) / name
                if self._local:
                    place.unlink()
                else:
                    retried(functools.partial(self._fs.rm_file, f"{self._root}/{path}"))

    def _listed(self, below: str) -> dict[str, _Entry]:
        with self.reading(below):
            try:
                if self._local:
                    start = f"{below}/" if below else ""
                    place = self._folder(below, below)
                    return {f"{start}{path}": entry for path, entry in _files(place)}
                self._fs.invalidate_cache()
                prefix = f"{self._root}/{below}".rstrip("/")
                found: dict[str, dict[str, Any]] = retried(lambda: self._fs.find(prefix, detail=True))
                # A web server's index tells names alone.
                unknown = [name for name, entry in found.items() if entry["size"] is None]
                for name, size in zip(unknown, retried(lambda: self._fs.sizes(unknown)), strict=True):
                    found[name]["size"] = size
            except (FileNotFoundError, NotADirectoryError):
                return {}
        root = len(self._root.lstrip("/")) + 1
        entries = {name.lstrip("/")[root:]: _remote_entry(entry) for name, entry in found.items()}
        return {path: entry for path, entry in entries.items() if path}

    def _place(self, path: str) -> Path:
        """Where an object is in its file system; what is there is a regular file, or nothing."""
        place = self._folder(path.rpartition("/")[0], path) / path.rpartition("/")[2]
        found = _status(place) if self._local else None
        if found is not None and not stat.S_ISREG(found.st_mode):
            raise self._foreign(f"{self.url}/{path}", found)
        return place

    def _folder(self, folder: str, path: str) -> Path:
        """Where the folder of a path is in its file system; folders are directories, or nothing."""
        if path and any(part in ("", ".", "..") or "\0" in part for part in path.split("/")):
            raise StoreError(
                "A name in the store leads out of it.",
                where=f"{self.url}/{path}",
                got="a name that is empty, '.' or '..'",
                allowed="names of objects of this store",
                remedy="Restore the store from a copy: somebody changed it. Or run into another --store.",
                kind=ErrorKind.OBJECT_NAME,
            )
        place = Path(self._top)
        parts = f"{self._begins}/{folder}".strip("/").split("/")
        for number, part in enumerate(filter(None, parts), start=1):
            place /= part
            found = _status(place) if self._local else None
            if found is not None and not stat.S_ISDIR(found.st_mode):
                raise self._foreign(f"{self._store}/{'/'.join(parts[:number])}", found)
        return place

    def _foreign(self, where: str, found: os.stat_result) -> StoreError:
        return StoreError(
            "Something else is in the place of an object of the store.",
            where=where,
            got=_KINDS.get(stat.S_IFMT(found.st_mode), "something unknown"),
            allowed="directories and regular files; links are not followed",
            remedy=_DELETE,
            kind=ErrorKind.FOREIGN_OBJECT,
        )

    @contextlib.contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        where = f"{self.url}/{path}"
        try:
            yield
        except Exception as error:
            if isinstance(error, StoreError) or (self._local and not isinstance(error, OSError)):
                raise
            if self._is_refusal(error):
                raise InputError(
                    "The store cannot be written where it is asked for.",
                    where=where,
                    got=description_of(error),
                    allowed="a directory or bucket that exists, or can be made, and that you may write to",
                    remedy="Choose another --store, or see to the permissions or credentials for this one.",
                    kind=ErrorKind.STORE_NOT_WRITABLE,
                ) from error
            raise _passing("An object of the store could not be written.", where, error) from error

    @contextlib.contextmanager
    def reading(self, path: str) -> Iterator[None]:
        """Within it, what a file system raises becomes an error of whyspec, or FileNotFoundError."""
        where = f"{self.url}/{path}"
        try:
            yield
        except Exception as error:
            if isinstance(error, (FileNotFoundError, NotADirectoryError)) and fault_of(error) == "missing":
                raise FileNotFoundError(where) from error
            if isinstance(error, StoreError) or (self._local and not isinstance(error, OSError)):
                raise
            if self._is_refusal(error):
                raise InputError(
                    "The store may not be read.",
                    where=where,
                    got=description_of(error),
                    remedy="See to the permissions or credentials for it, or choose another --store.",
                    kind=ErrorKind.STORE_NOT_READABLE,
                ) from error
            raise _passing("An object of the store could not be read.", where, error) from error

    def _is_refusal(self, error: Exception) -> bool:
        """Whether trying again would not help."""
        if isinstance(error, NotADirectoryError) or fault_of(error) == "refused":
            return True
        if self._local:
            gone = isinstance(error, FileNotFoundError) and not Path(self._top).exists()
            return gone or (isinstance(error, OSError) and error.errno in _REFUSED)
        return fault_of(error) == "missing"  # no such bucket


_DELETE = "Delete it, then run 'whyspec verify --repair', which makes what was there anew."

_LAST_TIME = 253402300799
"""The end of the year 9999: files may claim to be of later years, which dates cannot hold."""

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def largest(path: str) -> int:
    """Most bytes that an object of that path has."""
    if path.startswith("ledger/plans/"):
        return _LARGEST_PLAN
    return _LARGEST_DOCUMENT if path.endswith(".json") else _LARGEST


def _status(place: Path) -> os.stat_result | None:
    """Of what is there, links not followed; ``None`` if nothing is."""
    try:
        return place.lstat()
    except FileNotFoundError:
        return None


def _files(folder: Path) -> Iterator[tuple[str, _Entry]]:
    """Path below a folder, and entry, of everything in it that is no directory."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with contextlib.suppress(FileNotFoundError), os.scandir(folder / prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{prefix}{entry.name}/")
                    continue
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    yield f"{prefix}{entry.name}", _local_entry(entry.stat(follow_symlinks=False))


def _local_entry(found: os.stat_result) -> _Entry:
    size = found.st_size if stat.S_ISREG(found.st_mode) else FOREIGN
    return _Entry(size, found.st_mtime)


def _remote_entry(entry: dict[str, Any]) -> _Entry:
    written = entry.get("mtime", entry.get("LastModified"))
    if isinstance(written, datetime):
        written = written.timestamp()
    return _Entry(int(entry["size"]), written if isinstance(written, float | int) else None)


def _passing(what: str, where: str, error: Exception) -> RetryError:
    return RetryError(
        what,
        where=where,
        got=description_of(error),
        remedy="whyspec tries it again; if the fault lasts, check the free space, the quota and the network.",
        kind=ErrorKind.STORE_IO,
    )


def _is_conflict(error: Exception) -> bool:
    """Whether S3 says that a conditional write lost: 412, or 409 while another one is under way."""
    codes = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
    response = getattr(error.__cause__ or error, "response", None)
    return isinstance(response, dict) and str(response.get("Error", {}).get("Code", "")) in codes
