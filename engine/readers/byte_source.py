"""Byte ranges of a file at a path or fsspec URL, gzip-compressed or not.

A survey's file is mostly things nobody asks for here (78 % of a DESI coadd are resolution matrices), so
everything that reads goes through ranges: ``pread`` on disk, HTTP or S3 range requests over the network.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from engine.file_systems import description_of, fault_of, open_file_system, patiently
from models.errors import QuarantineError, RetryError

_GZIP_MAGIC = b"\x1f\x8b"


class ByteSource(Protocol):
    """Something with byte ranges.

    ``size`` is None where only reading to the end would tell; ``seeks_cheaply`` is whether many small
    reads cost no more than one large one.
    """

    size: int | None
    seeks_cheaply: bool

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes at each (offset, length); shorter where the file ends before."""

    def close(self) -> None:
        """Give back what the source holds open."""


def is_local(url: str) -> bool:
    """Whether ``url`` is a path of this machine: no protocol, or ``file://``."""
    return "://" not in url or url.startswith(("file://", "local://"))


def local_path(url: str) -> Path:
    """The path of a local URL."""
    return Path(url.split("://", 1)[1] if "://" in url else url)


class _LocalBytes:
    seeks_cheaply = True

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self.size: int | None = os.fstat(self._descriptor).st_size

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self._read(offset, length) for offset, length in ranges]

    def _read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._descriptor, length, offset)
        while 0 < len(data) < length:  # one pread returns at most 2 GiB
            more = os.pread(self._descriptor, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def close(self) -> None:
        os.close(self._descriptor)


class _RemoteBytes:
    seeks_cheaply = False

    def __init__(self, url: str) -> None:
        self._filesystem, self._path = open_file_system(url)
        size = patiently(lambda: self._filesystem.info(self._path)).get("size")
        self.size: int | None = None if size is None else int(size)

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        if self.size is not None:
            ends = [min(offset + length, self.size) for offset, length in ranges]
        else:
            ends = [offset + length for offset, length in ranges]
        # A store answers a range that starts at or after the end with an error, not with nothing.
        wanted = [(offset, end) for (offset, _), end in zip(ranges, ends, strict=True) if end > offset]
        parts = iter(self._fetch(wanted))
        return [next(parts) if end > offset else b"" for (offset, _), end in zip(ranges, ends, strict=True)]

    def _fetch(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes from start to end of each; what failed in a way that may pass is asked for again."""
        found: dict[tuple[int, int], bytes] = {}

        def ask() -> None:
            missing = [part for part in wanted if part not in found]
            starts, ends = [start for start, _ in missing], [end for _, end in missing]
            answers = self._filesystem.cat_ranges([self._path] * len(missing), starts, ends)
            failures = []
            for (start, end), data in zip(missing, answers, strict=True):
                if isinstance(data, BaseException):
                    failures.append(data)
                    continue
                # A server without range support sends the whole file.
                found[start, end] = bytes(data[start:end] if len(data) > end - start else data)
            if failures:
                raise failures[0]

        if wanted:
            patiently(ask)
        return [found[part] for part in wanted]

    def close(self) -> None:
        pass


class _GzipBytes:
    """Ranges of the content of a gzip file; asked in rising order they cost one pass."""

    seeks_cheaply = False

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._stream = gzip.GzipFile(fileobj=io.BufferedReader(_RawStream(source), 1 << 20))
        self.size: int | None = None

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        found: dict[int, bytes] = {}
        for index in sorted(range(len(ranges)), key=lambda index: ranges[index]):
            offset, length = ranges[index]
            self._stream.seek(offset)
            found[index] = self._stream.read(length)
        return [found[index] for index in range(len(ranges))]

    def close(self) -> None:
        self._stream.close()
        self._source.close()


class _RawStream(io.RawIOBase):
    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end of a byte source need not be known")
        self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        (data,) = self._source.read_ranges([(self._position, len(buffer))])
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class reading:  # noqa: N801 - used like a function, in a with statement
    """Turn what goes wrong while reading ``url`` into this project's errors.

    Raises
    ------
    QuarantineError : the file is missing, may not be read, or its compression is damaged.
    RetryError : the disk or network failed; the same call may work later.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, (QuarantineError, RetryError)):
            return
        if isinstance(error, (EOFError, zlib.error, gzip.BadGzipFile)):
            raise QuarantineError(
                "A gzip-compressed source file is cut short or damaged.",
                where=self.url,
                got=error,
                allowed="a whole gzip file (`gzip -t` accepts it)",
                remedy="Fetch the file again.",
                kind="truncated-file",
            ) from error
        match fault_of(error):
            case "missing":
                raise QuarantineError(
                    "A source file is not there.",
                    where=self.url,
                    remedy="Put it back, or plan the run again so that it is seen as gone.",
                    kind="missing-file",
                ) from error
            case "refused":
                raise QuarantineError(
                    "A source file cannot be opened.",
                    where=self.url,
                    got=getattr(error, "strerror", None) or description_of(error),
                    allowed="a file that this user may read",
                    remedy="Give read permission or credentials, or leave the file out.",
                    kind="unreadable-file",
                ) from error
            case "passing":
                raise RetryError(
                    "Reading a source file failed.",
                    where=self.url,
                    got=description_of(error),
                    remedy="Often passes by itself; if not, check the disk, the network and the credentials.",
                    kind="read-failed",
                ) from error


def open_bytes(url: str) -> ByteSource:
    """Open ``url`` for ranged reading; gzip is told by its first bytes, not by the name.

    Raises
    ------
    QuarantineError, RetryError : as :class:`reading` says.
    """
    with reading(url):
        source: ByteSource = _LocalBytes(local_path(url)) if is_local(url) else _RemoteBytes(url)
        try:
            (magic,) = source.read_ranges([(0, 2)])
        except BaseException:
            source.close()
            raise
    return _GzipBytes(source) if magic == _GZIP_MAGIC else source
