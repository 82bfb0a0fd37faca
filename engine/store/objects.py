"""Objects of a store: bytes under a path, at any fsspec URL, put there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from fsspec.implementations.local import LocalFileSystem

from engine.files.file_systems import description_of, fault_of, open_file_system, retried, storage_options
from engine.store.blocks import WrittenObject
from models.atomic_files import create_durably, make_directories, write_durably
from models.digests import digest_of
from models.errors import ErrorKind, InputError, RetryError

_WRITERS = 8
"""Objects written at once: hides the time that a disk takes to sync, and a bucket to answer."""

_T = TypeVar("_T")

_REFUSED = {errno.EROFS, errno.ENAMETOOLONG}


class ObjectTree:
    """The objects below one fsspec URL; paths are relative to it and use ``/``.

    Local objects are written beside their place, synced to the disk, moved into place, and their
    directory is synced: after :meth:`put` returns, they survive a crash. Elsewhere an object is put
    by one request. Instances can be pickled.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/") if len(url) > 1 else url
        try:
            self._fs, self._root = open_file_system(self.url)
        except (ValueError, ImportError) as error:
            raise InputError(
                "The store's URL has a scheme that cannot be opened here.",
                where=url,
                got=error,
                allowed="a path, or a URL that fsspec opens, e.g. s3://bucket/store.zarr",
                remedy="Check the part before '://'; S3 needs the package s3fs (extra 's3').",
                kind=ErrorKind.STORE_URL,
            ) from error
        self._local = isinstance(self._fs, LocalFileSystem)

    def __reduce__(self) -> tuple[type[ObjectTree], tuple[str]]:
        return ObjectTree, (self.url,)

    @property
    def zarr_url(self) -> str | Path:
        """What ``zarr.open_group`` takes: a path where the store is local."""
        return Path(self._root) if self._local else self.url

    @property
    def zarr_options(self) -> dict[str, Any] | None:
        """What Zarr needs besides: how the file system is opened, where it is not the local one."""
        return None if self._local else storage_options(self.url)

    def put(self, path: str, data: bytes) -> WrittenObject:
        """Write one whole object, durably; an object of that path is replaced.

        Raises
        ------
        InputError : the place does not let anything be written.
        RetryError : it failed in a way that may pass (network, full disk).
        """
        with self._writing(path):
            if self._local:
                write_durably(self._place(path), data)
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
        """
        with self._writing(path):
            if self._local:
                return create_durably(self._place(path), data)
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
        """
        with self._reading(path):
            return bytes(self._remotely(lambda: self._fs.cat_file(f"{self._root}/{path}")))

    def get_all(self, paths: Sequence[str]) -> dict[str, bytes]:
        """The bytes of many objects at once (concurrently where the file system can)."""
        if not paths:
            return {}
        whole = {f"{self._root}/{path}": path for path in paths}
        with self._reading(f"{paths[0]} and {len(paths) - 1} more"):
            if self._local:
                return {path: Path(name).read_bytes() for name, path in whole.items()}
            found: dict[str, bytes] = retried(lambda: self._fs.cat(list(whole)))
            # Some file systems answer one path without, and all with, a leading slash.
            stripped = {name.lstrip("/"): data for name, data in found.items()}
            return {path: stripped[name.lstrip("/")] for name, path in whole.items()}

    def sizes(self, below: str = "") -> dict[str, int]:
        """Path and size of every object below a folder, by one listing, sorted by path."""
        prefix = f"{self._root}/{below}".rstrip("/")
        with self._reading(below):
            self._fs.invalidate_cache()
            try:
                found: dict[str, dict[str, Any]] = self._remotely(lambda: self._fs.find(prefix, detail=True))
            except (FileNotFoundError, NotADirectoryError):
                return {}
        start = len(self._root.lstrip("/")) + 1
        sizes = {name.lstrip("/")[start:]: int(entry["size"]) for name, entry in found.items()}
        return {path: sizes[path] for path in sorted(sizes) if path}

    def newest(self, below: str) -> datetime | None:
        """When the newest object below a folder was written, by the clock of what keeps it; ``None`` if none.

        Unknown, and so ``None``, on file systems that keep no times.
        """
        with self._reading(below):
            self._fs.invalidate_cache()
            try:
                found: dict[str, dict[str, Any]] = self._fs.find(f"{self._root}/{below}", detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return None
        times = [each.get("mtime", each.get("LastModified")) for each in found.values()]
        known = [
            each if isinstance(each, datetime) else datetime.fromtimestamp(each, UTC)
            for each in times
            if isinstance(each, datetime | float | int)
        ]
        return max(known, default=None)

    def delete(self, paths: Iterable[str]) -> None:
        """Delete objects; those that are not there are left alone."""
        for path in paths:
            with self._writing(path), contextlib.suppress(FileNotFoundError):
                self._remotely(functools.partial(self._fs.rm_file, f"{self._root}/{path}"))

    def _place(self, path: str) -> Path:
        """Where a local object goes; its directory is made if it is missing."""
        target = Path(self._root) / path
        make_directories(target.parent)
        return target

    def _remotely(self, call: Callable[[], _T]) -> _T:
        """The value of ``call``; a network is given several chances, a disk that fails is not."""
        return call() if self._local else retried(call)

    @contextlib.contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        where = f"{self.url}/{path}"
        try:
            yield
        except Exception as error:
            if self._local and not isinstance(error, OSError):
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
    def _reading(self, path: str) -> Iterator[None]:
        where = f"{self.url}/{path}"
        try:
            yield
        except Exception as error:
            if isinstance(error, (FileNotFoundError, NotADirectoryError)) and fault_of(error) == "missing":
                raise FileNotFoundError(where) from error
            if self._local and not isinstance(error, OSError):
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
            gone = isinstance(error, FileNotFoundError) and not Path(self._root).exists()
            return gone or (isinstance(error, OSError) and error.errno in _REFUSED)
        return fault_of(error) == "missing"  # no such bucket


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
