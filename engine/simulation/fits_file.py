"""FITS files as bytes that depend on nothing but their content: checksums, and no dates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from models.atomic_files import atomic_file

_BLOCK = 2880
_CODES = {"i2": "I", "i4": "J", "i8": "K", "f4": "E", "f8": "D", "u1": "B", "b1": "L"}

Card = tuple[str, Any] | tuple[str, Any, str]


@dataclass(frozen=True)
class Column:
    """A column of a binary table: name and dtype code (``i4``, ``f8``, ``3A``, ``5f4``).

    The surveys' files give no units of columns (TUNIT).
    """

    name: str
    dtype: str

    @property
    def numpy_field(self) -> tuple[Any, ...]:
        """The field of a big-endian structured array."""
        if self.dtype.endswith("A"):
            return (self.name, f"S{self.dtype[:-1]}")
        count, code = self.dtype[:-2], self.dtype[-2:]
        return (self.name, f">{code}", (int(count),)) if count else (self.name, f">{code}")

    @property
    def tform(self) -> str:
        """The FITS format."""
        return self.dtype if self.dtype.endswith("A") else self.dtype[:-2] + _CODES[self.dtype[-2:]]


def empty_table(columns: Sequence[Column], rows: int) -> NDArray[np.void]:
    """A table of ``rows`` zeros and empty strings, ready for :func:`table_hdu`."""
    return np.zeros(rows, dtype=[column.numpy_field for column in columns])


def primary_hdu(
    cards: Sequence[Card], shape: tuple[int, ...] = (), pieces: Sequence[bytes] = ()
) -> list[bytes]:
    """A primary HDU, without data or with a float32 image of numpy ``shape`` as in :func:`image_hdu`."""
    first: list[Card] = [
        ("SIMPLE", True, "conforms to FITS standard"),
        ("BITPIX", -32 if shape else 8, "array data type"),
        ("NAXIS", len(shape), "number of array dimensions"),
        *((f"NAXIS{i + 1}", size) for i, size in enumerate(reversed(shape))),
        ("EXTEND", True),
    ]
    return _hdu([*first, *cards], list(pieces))


def image_hdu(
    name: str, shape: tuple[int, ...], dtype: str, pieces: list[bytes], cards: Sequence[Card] = ()
) -> list[bytes]:
    """An image of numpy ``shape`` (slowest axis first) from big-endian ``pieces`` laid end to end.

    ``dtype`` is a FITS dtype code; ``u4`` is stored as int32 with BZERO, and ``pieces`` hold that.
    """
    bitpix = {"f4": -32, "f8": -64, "i4": 32, "u4": 32}[dtype]
    header: list[Card] = [
        ("XTENSION", "IMAGE", "Image extension"),
        ("BITPIX", bitpix, "array data type"),
        ("NAXIS", len(shape), "number of array dimensions"),
        *((f"NAXIS{i + 1}", size) for i, size in enumerate(reversed(shape))),
        ("PCOUNT", 0, "number of parameters"),
        ("GCOUNT", 1, "number of groups"),
    ]
    if dtype == "u4":
        header += [("BSCALE", 1), ("BZERO", 2147483648)]
    return _hdu([*header, *_named(name), *cards], pieces)


def table_hdu(name: str, columns: Sequence[Column], table: NDArray[np.void]) -> list[bytes]:
    """A binary table; ``table`` as :func:`empty_table` makes it."""
    header: list[Card] = [
        ("XTENSION", "BINTABLE", "binary table extension"),
        ("BITPIX", 8, "array data type"),
        ("NAXIS", 2, "number of array dimensions"),
        ("NAXIS1", table.dtype.itemsize, "length of dimension 1"),
        ("NAXIS2", len(table), "length of dimension 2"),
        ("PCOUNT", 0, "number of group parameters"),
        ("GCOUNT", 1, "number of groups"),
        ("TFIELDS", len(columns), "number of table fields"),
    ]
    for number, column in enumerate(columns, start=1):
        header += [(f"TTYPE{number}", column.name), (f"TFORM{number}", column.tform)]
    return _hdu([*header, *_named(name)], [table.tobytes()])


def _named(name: str) -> list[Card]:
    return [("EXTNAME", name, "extension name")] if name else []


def write_fits(path: Path, hdus: Sequence[list[bytes]]) -> str:
    """Write HDUs to ``path``, whose directory must exist; returns the sha256 of the file as hex."""
    digest = hashlib.sha256()
    with atomic_file(path) as partial, partial.open("wb") as file:
        for hdu in hdus:
            for piece in hdu:
                file.write(piece)
                digest.update(piece)
    return digest.hexdigest()


def _hdu(cards: list[Card], pieces: list[bytes]) -> list[bytes]:
    size = sum(len(piece) for piece in pieces)
    datasum = _ones_complement([_word_sum(piece) for piece in _distinct(pieces)])
    text = _header_text(tuple(cards))
    text = _with_value(text, b"DATASUM = '", b"%-10d" % datasum)
    total = _ones_complement([datasum, _word_sum(text)])
    text = _with_value(text, b"CHECKSUM= '", _encoded(0xFFFFFFFF - total))
    padding = -size % _BLOCK
    return [text, *pieces, *([b"\0" * padding] if padding else [])]


@lru_cache(maxsize=256)
def _header_text(cards: tuple[Card, ...]) -> bytes:
    header = fits.Header([fits.Card(*card) for card in cards])
    header["DATASUM"] = ("0" * 10, "data unit checksum")
    header["CHECKSUM"] = ("0" * 16, "HDU checksum")
    return bytes(header.tostring().encode("ascii"))


def _with_value(text: bytes, keyword: bytes, value: bytes) -> bytes:
    """``text`` with the value behind ``keyword`` replaced by one as long as the old."""
    place = text.rindex(keyword) + len(keyword)
    return text[:place] + value + text[place + len(value) :]


def _distinct(pieces: list[bytes]) -> list[bytes]:
    """Pieces whose sums may be added: joined where a piece is no whole number of 32-bit words."""
    if all(len(piece) % 4 == 0 for piece in pieces):
        return pieces
    return [b"".join(pieces)]


_SUMS: dict[int, tuple[bytes, int]] = {}


def _word_sum(data: bytes) -> int:
    """Sum of the big-endian 32-bit words of ``data``, zero-padded."""
    known = _SUMS.get(id(data))
    if known is not None and known[0] is data:
        return known[1]
    padded = data if len(data) % 4 == 0 else data + b"\0" * (-len(data) % 4)
    total = int(np.frombuffer(padded, dtype=">u4").sum(dtype=np.uint64))
    if len(data) > 100_000:
        # The same resolution rows are written again and again.
        _SUMS.clear() if len(_SUMS) > 16 else None
        _SUMS[id(data)] = (data, total)
    return total


def _ones_complement(sums: list[int]) -> int:
    total = sum(sums)
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encoded(value: int) -> bytes:
    """A 32-bit sum as 16 letters and digits (FITS standard 4.0, appendix J)."""
    letters = np.zeros(16, dtype=int)
    punctuation = {*range(0x3A, 0x41), *range(0x5B, 0x61)}
    for place in range(4):
        byte = (value >> (24 - 8 * place)) & 0xFF
        quarters = [byte // 4 + 48] * 4
        quarters[0] += byte % 4
        while any(quarter in punctuation for quarter in quarters):
            for pair in (0, 2):
                if quarters[pair] in punctuation or quarters[pair + 1] in punctuation:
                    quarters[pair] += 1
                    quarters[pair + 1] -= 1
        letters[place::4] = quarters
    return bytes(np.roll(letters, 1).astype(np.uint8))
