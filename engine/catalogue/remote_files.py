"""Remote files: a catalogue that lies elsewhere, as DuckDB opens it.

All reads go by the store's own objects, so that retries, credentials and errors are those of the store.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fsspec.spec import AbstractFileSystem

from engine.store.objects import ObjectTree

PROTOCOL = "whyspec"

THREADS = 16
"""Of DuckDB where files lie elsewhere: each of its threads waits for one answer at a time."""

_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def remote_name(path: str) -> str:
    """What DuckDB calls a file of the catalogue. So it never sees where the store is, nor a credential."""
    return f"{PROTOCOL}://{path}"


class RemoteFiles(AbstractFileSystem):  # type: ignore[misc]
    """Files of a store by their names in it, of known sizes; they can be read and nothing else.

    Attributes
    ----------
    fault : what a read raised last; None for nothing. DuckDB has its own words for it.
    """

    protocol = PROTOCOL
    cachable = False

    def __init__(self, objects: ObjectTree, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self._objects, self._sizes = objects, sizes
        self.fault: Exception | None = None

    def open(self, path: str, mode: str = "rb", **_: Any) -> io.RawIOBase:
        """A file of the catalogue.

        Raises
        ------
        FileNotFoundError : it has none of that name.
        """
        if mode != "rb":
            raise PermissionError(path)
        return _RemoteFile(self, self._name(path))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, type and size of a file."""
        name = self._name(path)
        return {"name": name, "type": "file", "size": self._sizes[name]}

    def glob(self, path: str, **_: Any) -> list[str]:
        """The file itself: no name holds a pattern."""
        return [self._name(path)]

    def modified(self, path: str) -> datetime:
        """The same for all: files never change."""
        self._name(path)
        return _NEVER

    def bytes_of(self, name: str, start: int, stop: int) -> bytes:
        """Bytes ``[start, stop)`` of a file."""
        try:
            (data,) = self._objects.ranges([(name, start, stop)])
        except Exception as error:
            self.fault = error
            raise
        return data

    def _name(self, path: str) -> str:
        name = path.removeprefix(f"{PROTOCOL}://")
        if name not in self._sizes:
            raise FileNotFoundError(path)
        return name


class _RemoteFile(io.RawIOBase):
    """One file; each read is one request, because DuckDB asks for whole columns of a group of rows."""

    def __init__(self, files: RemoteFiles, name: str) -> None:
        super().__init__()
        self._files, self._name, self._at = files, name, 0
        self.size: int = files.info(name)["size"]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self.size if size < 0 else min(self._at + size, self.size)
        if stop <= self._at:
            return b""
        data = self._files.bytes_of(self._name, self._at, stop)
        self._at += len(data)
        return data
