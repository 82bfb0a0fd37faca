"""Byte ranges of a file at a path or fsspec URL, gzip-compressed or not.

Most of a survey's file is not needed here: 78 % of a DESI coadd are resolution matrices. So all reading goes
by ranges: ``pread`` on a disk, range requests by HTTP or S3.
"""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.files.byte_ranges import ByteSource, Range, WholeFile
from engine.files.file_systems import check_size, description_of, fault_of, open_file_system, retried
from engine.files.gzip_source import GzipBytes
from engine.files.prefetched_ranges import FIRST_READ, SMALL_FILE, PrefetchedRanges
from models.errors import ErrorKind, QuarantineError, RetryError

_GZIP_MAGIC = b"\x1f\x8b"

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def is_local(url: str) -> bool:
    """Whether ``url`` is a path of this machine: no protocol, or ``file://``."""
    return "://" not in url or url.startswith(("file://", "local://"))


def local_path(url: str) -> Path:
    """The path of a local URL."""
    return Path(url.split("://", 1)[1] if "://" in url else url)


def open_regular_file(path: Path) -> int:
    """A descriptor of a file on a disk, to read it by.

    Anything else is never opened: a named pipe would wait for a writer, and a device might do something.

    Raises
    ------
    QuarantineError : it is no regular file (``unreadable-file``).
    OSError : there is nothing, or it may not be read.
    """
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind != stat.S_IFREG:
        raise QuarantineError(
            "A source file is no file.",
            where=str(path),
            got=_KINDS.get(kind, "something else"),
            allowed="a regular file",
            remedy="Leave it out, or write what it gives into a file.",
            kind=ErrorKind.UNREADABLE_FILE,
        )
    return os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))


class _LocalBytes:
    """A file on a disk, where prefetching gains nothing."""

    seeks_cheaply = True

    def __init__(self, path: Path) -> None:
        self._descriptor = open_regular_file(path)
        self.size: int | None = os.fstat(self._descriptor).st_size

    def read_ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        return [self._read(offset, length) for offset, length in ranges]

    def prefetch(self, ranges: Sequence[Range]) -> None:
        """Nothing to do."""

    def drop(self, ranges: Sequence[Range]) -> None:
        """Nothing to do."""

    @property
    def bytes_in_memory(self) -> int:
        """None of its own: the system has a page cache."""
        return 0

    def skip(self, offset: int, length: int) -> None:
        """Nothing to do."""

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
    """A file at an fsspec URL: one request per range, all of a call at the same time.

    A server that knows no ranges sends the whole file with the first one. It then stays in memory.
    """

    seeks_cheaply = False

    def __init__(self, url: str) -> None:
        self._filesystem, self._path = open_file_system(url)
        size = retried(lambda: self._filesystem.info(self._path)).get("size")
        self.size: int | None = None if size is None else int(size)
        self._whole: bytes | None = None

    def read_ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        if self._whole is not None:
            return [self._whole[offset : offset + length] for offset, length in ranges]
        if self.size is not None:
            ends = [min(offset + length, self.size) for offset, length in ranges]
        else:
            ends = [offset + length for offset, length in ranges]
        # A store answers a range that starts at or after the end with an error, not with nothing.
        wanted = [(offset, end) for (offset, _), end in zip(ranges, ends, strict=True) if end > offset]
        parts = iter(self._fetch(wanted))
        return [next(parts) if end > offset else b"" for (offset, _), end in zip(ranges, ends, strict=True)]

    def _fetch(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes from start to end of each; those whose fault may pass are asked for again."""
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
                if isinstance(data, WholeFile):
                    self._whole, self.size = data, len(data)
                    data = data[start:end]
                found[start, end] = data
            if failures:
                raise failures[0]

        if wanted:
            retried(ask)
        return [found[part] for part in wanted]

    def close(self) -> None:
        self._whole = None


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Errors of reading ``url`` within the block as this project's.

    Raises
    ------
    QuarantineError : the file is missing, may not be read, or its compression is damaged.
    RetryError : the disk or network failed; the same call may work later.
    """
    try:
        yield
    except (QuarantineError, RetryError):
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise QuarantineError(
            "A gzip-compressed source file is cut short or damaged.",
            where=url,
            got=error,
            allowed="a whole gzip file (`gzip -t` accepts it)",
            remedy="Fetch the file again.",
            kind=ErrorKind.TRUNCATED_FILE,
        ) from error
    except Exception as error:
        match fault_of(error):
            case "missing":
                raise QuarantineError(
                    "A source file is not there.",
                    where=url,
                    remedy="Put it back, or plan the run again so that it is seen as gone.",
                    kind=ErrorKind.MISSING_FILE,
                ) from error
            case "refused":
                raise QuarantineError(
                    "A source file cannot be opened.",
                    where=url,
                    got=getattr(error, "strerror", None) or description_of(error),
                    allowed="a file that this user may read",
                    remedy="Give read permission or credentials, or leave the file out.",
                    kind=ErrorKind.UNREADABLE_FILE,
                ) from error
            case "passing":
                raise RetryError(
                    "Reading a source file failed.",
                    where=url,
                    got=description_of(error),
                    remedy="The fault often passes by itself; if not, check the disk, the network and the "
                    "credentials.",
                    kind=ErrorKind.READ_INTERRUPTED,
                ) from error
        raise


def open_bytes(url: str) -> ByteSource:
    """Open ``url`` for reading by ranges. Its first bytes say whether it is gzip, not its name.

    Raises
    ------
    QuarantineError, RetryError : as :func:`reading` says.
    """
    with reading(url):
        source = _open_local(url) if is_local(url) else _open_remote(url)
        try:
            check_size(url, source.size or 0)
            (magic,) = source.read_ranges([(0, 2)])
        except BaseException:
            source.close()
            raise
    return GzipBytes(source) if magic == _GZIP_MAGIC else source


def _open_local(url: str) -> ByteSource:
    return _LocalBytes(local_path(url))


def _open_remote(url: str) -> ByteSource:
    remote = _RemoteBytes(url)
    source = PrefetchedRanges(remote)
    small = remote.size is not None and remote.size <= SMALL_FILE
    source.prefetch([(0, SMALL_FILE if small else FIRST_READ)])
    return source
