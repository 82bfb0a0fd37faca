"""Telling a file that cannot be read from a server that is away.

Both look alike at first: a request fails, and fails again. If it were always the server, one file on a bad
sector would stop a release of thirty thousand; if it were always the file, a network that is away for a
minute would fill a store with rows that say "unreadable". So the server is asked something else.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from engine.files.byte_source import is_local, local_path
from engine.files.file_systems import fault_of, open_file_system
from models.errors import ErrorKind, QuarantineError, RetryError

_OF_THE_PROCESS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR}


@contextmanager
def given_up() -> Iterator[None]:
    """Set a file aside that kept failing, if the disk or server that holds it answers otherwise.

    Raises
    ------
    QuarantineError : the file failed (``read-failed``), and its directory answers.
    RetryError : the disk or server does not answer at all, or this process has run out of something.
    """
    try:
        yield
    except RetryError as error:
        if not _is_of_the_process(error) and answers(error.where.rpartition("/")[0]):
            raise QuarantineError(
                "A source file could not be read, although its disk or server answers.",
                where=error.where,
                got=error.got,
                remedy="The next run tries it again; if it lasts, fetch the file again or tell its keeper.",
                kind=ErrorKind.READ_FAILED,
            ) from error
        raise


def answers(directory: str) -> bool:
    """Whether a disk or server says anything about a directory, if only that it may not be looked at."""
    try:
        if is_local(directory):
            local_path(directory or "/").stat()
        else:
            filesystem, path = open_file_system(directory)
            filesystem.invalidate_cache()
            filesystem.info(path)
    except Exception as error:
        if fault_of(error) == "other":
            raise
        return fault_of(error) != "passing"
    return True


def _is_of_the_process(error: RetryError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _OF_THE_PROCESS
