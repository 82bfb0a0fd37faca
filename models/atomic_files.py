"""Atomic writes: a file is under its name as a whole or not at all, however a process ends.

Content goes to a temporary file beside the place, which is then moved there in one step. What must survive
a crash of the machine as well is synced to the disk before and after the move.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

PARTIAL = ".partial"
"""Ends the names of temporary files. A killed process leaves them behind; nothing reads them."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What file systems without hard links say to one."""


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """The path of a temporary file, which becomes ``path`` when the block ends without an error.

    A symbolic link is followed, an existing file's mode is kept, and a pipe or terminal is written to as
    it is.

    Raises
    ------
    OSError : the place cannot be written to; ``path`` is then what it was before.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = 0
    if mode and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        yield path
        return
    target = path.resolve() if path.is_symlink() else path
    with _partial(target) as partial:
        yield partial
        if mode:
            partial.chmod(stat.S_IMODE(mode))
        partial.replace(target)


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """The path of a temporary directory, which becomes ``path`` when the block ends without an error.

    Raises
    ------
    OSError : there is something of that name, or the place cannot be written to.
    """
    if path.exists() or path.is_symlink():
        raise FileExistsError(errno.EEXIST, "there is something of that name", str(path))
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL}")
    partial.mkdir()
    try:
        yield partial
        partial.rename(path)  # refused where a file or a full directory has come there
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file that is whole, and on the disk on return; a file of that name is replaced.

    Raises
    ------
    OSError : the place cannot be written to; ``path`` is then what it was before.
    """
    with atomic_file(path) as partial:
        _write_synced(partial, content)
    sync_directory(path.parent)


def create_durably(path: Path, content: bytes) -> bool:
    """As :func:`write_durably` if there is no file of that name; false, and nothing written, if there is.

    Of several processes that create the same file at once, one does, also on NFS: the name is given by a
    hard link.

    Raises
    ------
    OSError : the place cannot be written to.
    """
    with _partial(path) as partial:
        _write_synced(partial, content)
        try:
            os.link(partial, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            try:
                with path.open("xb") as stream:
                    stream.write(content)
            except FileExistsError:
                return False
    sync_directory(path.parent)
    return True


def make_directories(directory: Path) -> None:
    """Make a directory and those above it that are missing, so that they survive a crash."""
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_directory(each.parent)


def sync_directory(directory: Path) -> None:
    """Have the names in a directory on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """The path of a temporary file beside the target; it is deleted if it is still there afterwards."""
    # A name of its own per attempt: two writers of one file never share a temporary file.
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}{PARTIAL}")
    try:
        yield partial
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        _sync(stream.fileno())


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Pipes cannot be synced, nor directories of some network file systems, which order them themselves.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
