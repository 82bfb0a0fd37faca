"""Slow files: local ones behind the latency of an object store, to measure read-ahead by."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

PROTOCOL = "delayed"


class DelayedFileSystem(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The local file system, every request answered late; ranges that are asked together wait together.

    The class is registered by :func:`use_delay`; its URLs are ``delayed:///path``.
    """

    protocol = PROTOCOL
    seconds = 0.0
    cachable = False

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """What the local file system says, later."""
        time.sleep(self.seconds)
        found: dict[str, Any] = super().info(path, **options)
        return found

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Bytes of a file, later."""
        time.sleep(self.seconds)
        return self._bytes(path, start, end)

    def cat_ranges(self, paths: list[str], starts: list[int], ends: list[int], **_: Any) -> list[bytes]:
        """Bytes of several ranges, later by one delay."""
        time.sleep(self.seconds)
        return [self._bytes(*each) for each in zip(paths, starts, ends, strict=True)]

    @staticmethod
    def _bytes(path: str, start: int | None, end: int | None) -> bytes:
        with Path(path).open("rb") as file:
            file.seek(start or 0)
            return file.read() if end is None else file.read(end - (start or 0))


def use_delay(seconds: float) -> None:
    """Have ``delayed://`` URLs of this process answer after ``seconds``."""
    DelayedFileSystem.seconds = seconds
    fsspec.register_implementation(PROTOCOL, DelayedFileSystem, clobber=True)
