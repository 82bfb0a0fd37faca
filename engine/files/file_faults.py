"""Faults that last: of one file, or of the disk or server that it is on.

Both look alike: a request fails again and again. To blame the server stops a run over thirty thousand files
for one bad sector. To blame the file fills a store with unreadable rows while the network is away for a
minute. So the server is asked for the file's directory.
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
def quarantined_if_server_answers() -> Iterator[None]:
    """A file whose reading fails within the block is quarantined if its disk or server answers.

    Raises
    ------
    QuarantineError : reading failed (``read-failed``), and the file's directory answers.
    RetryError : the disk or server does not answer, or this process is out of memory or descriptors.
    """
    try:
        yield
    except RetryError as error:
        if not _is_of_the_process(error) and answers(error.where.rpartition("/")[0]):
            raise QuarantineError(
                "A source file could not be read, although its disk or server answers.",
                where=error.where,
                got=error.got,
                remedy="The next run tries the file again; if it fails again, fetch it anew or tell its "
                "keeper.",
                kind=ErrorKind.READ_FAILED,
            ) from error
        raise


def answers(directory: str) -> bool:
    """Whether a disk or server answers a question about a directory, if only with a refusal."""
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
