"""DATASUMs of a file's HDUs, compared while the HDUs are read.

A DATASUM is the sum of 32-bit words in ones' complement (FITS standard 4.0, appendix J), so it can be taken
piece by piece, in 10 to 20 microseconds per spectrum. It finds a byte that changed on a disk or on the way
and would make a spectrum odd. Only an HDU that is read whole, from first row to last, can be compared; a
block may read a part of a file.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from engine.files.fits_headers import HeaderDataUnit
from models.errors import ErrorKind, QuarantineError

_ZERO = 0xFFFFFFFF
"""Zero too: ones' complement has two."""


def sum_of(data: bytes) -> int:
    """Sum of the big-endian 32-bit words of ``data``, padded with zeros; not folded."""
    words = np.frombuffer(data + bytes(-len(data) % 4) if len(data) % 4 else data, dtype=">u4")
    return int(words.sum(dtype=np.uint64))


def folded(total: int) -> int:
    """A sum folded to 32 bits in ones' complement."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


class DataSums:
    """Sums of the HDUs of one file, filled piece by piece."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._sums: dict[int, tuple[HeaderDataUnit, int, int]] = {}

    def add(self, unit: HeaderDataUnit, offset: int, data: bytes) -> None:
        """Add a piece of an HDU's data that begins at its byte ``offset``.

        A piece counts if it begins where the one before ended, at a whole 32-bit word.
        """
        _, seen, total = (unit, 0, 0) if offset == 0 else self._sums.get(unit.data_offset, (unit, -1, 0))
        if offset == seen and offset % 4 == 0:
            self._sums[unit.data_offset] = (unit, offset + len(data), total + sum_of(data))

    def check_headers(self, units: Iterable[HeaderDataUnit]) -> None:
        """Compare headers with their CHECKSUMs, by which the sum of a whole HDU is zero.

        Not for the first HDU: others than its writer add keywords to it.

        Raises
        ------
        QuarantineError : a header is not the one that was written (``checksum-mismatch``).
        """
        for unit in units:
            recorded = unit.text("DATASUM")
            if not unit.text("CHECKSUM") or not recorded.isdigit():
                continue
            found = folded(sum_of(unit.raw_header) + int(recorded))
            if found % _ZERO:
                raise _mismatch(
                    f"{self.url}, header of HDU {unit.name}", f"sum {found}", "sum 0, which CHECKSUM makes it"
                )

    def check(self) -> None:
        """Compare HDUs that were read whole with their headers.

        Raises
        ------
        QuarantineError : the bytes are not those that were written (``checksum-mismatch``).
        """
        for unit, seen, total in list(self._sums.values()):  # threads add to them
            recorded = unit.text("DATASUM")
            if seen != unit.data_size or not recorded.isdigit():
                continue
            found = folded(total)
            if found % _ZERO != int(recorded) % _ZERO:
                raise checksum_mismatch(self.url, unit, found)


def checksum_mismatch(url: str, unit: HeaderDataUnit, found: int) -> QuarantineError:
    """The error for data whose sum is not the one in their header."""
    return _mismatch(f"{url}, HDU {unit.name}", f"data sum {found}", f"DATASUM = {unit.text('DATASUM')}")


def published_mismatch(url: str, found: str, published: str) -> QuarantineError:
    """The error for a file whose SHA-256 is not the one that its directory publishes."""
    return _mismatch(url, f"SHA-256 {found}", f"{published}, which its directory publishes")


def _mismatch(where: str, got: str, allowed: str) -> QuarantineError:
    return QuarantineError(
        "The bytes of a file are not those that were written.",
        where=where,
        got=got,
        allowed=allowed,
        remedy="Fetch the file again: a byte changed on a disk or on the way. If you changed the file "
        "yourself, renew its sums: fitscheck --write --force FILE (of astropy).",
        kind=ErrorKind.CHECKSUM_MISMATCH,
    )
