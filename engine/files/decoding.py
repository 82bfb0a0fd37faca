"""Decoding of a file's content: what a decoder raises is the fault of the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import ErrorKind, QuarantineError

SENSELESS = (ArithmeticError, LookupError, TypeError, ValueError)
"""What values raise that make no sense, e.g. a text for a redshift."""


@contextmanager
def decoding(url: str, faults: type[Exception] | tuple[type[Exception], ...] = Exception) -> Iterator[None]:
    """Quarantine a file whose damage shows only when its content is decoded within the block.

    Parameters
    ----------
    faults : errors that mean so: all of another library's decoder, :data:`SENSELESS` for code of our own.

    Raises
    ------
    QuarantineError : one of ``faults`` was raised (``undecodable-file``).
    """
    try:
        yield
    except faults as error:
        raise QuarantineError(
            "The file's content cannot be decoded.",
            where=url,
            got=f"{type(error).__name__}: {error}",
            allowed="tables and images of the kinds that the survey writes",
            remedy="Fetch the file again; if it is whole, please report this with the file's name.",
            kind=ErrorKind.UNDECODABLE_FILE,
        ) from error
