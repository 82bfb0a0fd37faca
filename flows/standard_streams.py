"""Standard streams of a command: what becomes of output that nobody takes.

Standard output holds results, so a command whose results cannot be written fails. Standard error holds what
is said about them, so a command goes on without it. A reader that has seen enough (``whyspec query ... |
head``) and a stream that was closed are no faults: what is written to them is dropped, and the command ends
as it would have.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

from models.errors import ErrorKind, InputError


class _Stream(io.TextIOWrapper):
    """A standard stream; what its encoding lacks is written as an escape."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._lost(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._lost(error)

    def _lost(self, _: OSError) -> None:
        """Drop what is in the buffers and all that follows."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


class _Results(_Stream):
    """Standard output."""

    def _lost(self, error: OSError) -> None:
        super()._lost(error)
        if not isinstance(error, BrokenPipeError):
            raise InputError(
                "The results cannot be written to standard output.",
                where="standard output",
                got=error.strerror or error,
                allowed="a terminal, a pipe, or a file on a disk with room",
                remedy="Make room, or name another file.",
                kind=ErrorKind.OUTPUT_UNWRITABLE,
            ) from error


def prepare_streams() -> None:
    """Make this process's standard streams such as the module says. Once, before anything is written."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # It takes the lowest free number: this one. A file opened later would, and get what is printed.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _opened(_Results, 1, sys.stdout)
    sys.stderr = _opened(_Stream, 2, sys.stderr)


def _opened(kind: type[_Stream], number: int, before: TextIO | None) -> _Stream:
    return kind(
        open(number, "wb", closefd=False),
        encoding=before.encoding if before is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=number == 2 or os.isatty(number),
    )
