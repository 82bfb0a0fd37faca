"""Health of the disk or server of a run's files: whether one file fails, or everything."""

from __future__ import annotations

import threading

from models.errors import ErrorKind, QuarantineError, RetryError

_IN_A_ROW = 8


class SourceHealth:
    """How many files failed in a row, in this process.

    A file that fails while its server answers is quarantined, and the run goes on. But when file after file
    fails, the server is at fault: to quarantine them all would fill a store with rows that say nothing. All
    methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed = 0

    def answered(self) -> None:
        """A file was read."""
        with self._lock:
            self._failed = 0

    def failed(self, error: QuarantineError) -> None:
        """A file failed in spite of retries.

        Raises
        ------
        RetryError : so did the files before it (``sources-failing``).
        """
        with self._lock:
            self._failed += 1
            failed = self._failed
        if failed >= _IN_A_ROW:
            raise RetryError(
                "One source file after the other could not be read.",
                where=error.where,
                got=f"{failed} files in a row; this one: {error.got}",
                allowed="single files that fail: they are quarantined and tried again by the next run",
                remedy="Check the disk, the network and the credentials; then the same command continues.",
                kind=ErrorKind.SOURCES_FAILING,
            ) from error
