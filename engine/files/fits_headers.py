"""Headers of a FITS file: which HDUs it has, and where their data lie.

Only headers are read, a few kilobytes each, by seeking from one to the next. After the FITS standard 4.0,
https://fits.gsfc.nasa.gov/fits_standard.html.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from engine.files.byte_ranges import ByteSource, Range
from models.errors import ErrorKind, QuarantineError

BLOCK = 2880
_CARD = 80
HEADER_READ = 4 * BLOCK
"""Bytes that are read first of a header: most headers are no longer."""

_HEADER_LIMIT = 2000 * BLOCK
_PIECE = 4096 * BLOCK

IMAGE_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
"""NumPy types of images by BITPIX."""

_COLUMN_TYPES = {
    "L": "S1",
    "B": "u1",
    "I": ">i2",
    "J": ">i4",
    "K": ">i8",
    "E": ">f4",
    "D": ">f8",
    "C": ">c8",
    "M": ">c16",
}
_COLUMN_KEYWORDS = ("TTYPE", "TFORM", "TZERO", "TSCAL", "TNULL")
_INTEGERS = ("u1", ">i2", ">i4", ">i8")
_TFORM = re.compile(r"\s*(\d*)([LXBIJKAEDCMPQ])")

HeaderValue = str | int | float | bool | None


@dataclass(frozen=True)
class TableColumn:
    """One column of a binary table: where it lies in a row and how to decode it.

    A value is ``zero + scale * stored``; the integer ``null``, as stored, stands for an undefined one.
    """

    name: str
    format: str
    offset: int
    zero: float
    scale: float
    null: int | None

    @property
    def is_integer(self) -> bool:
        """Whether each row has one integer."""
        return self.format in _INTEGERS and self.scale == 1 and self.zero == int(self.zero)


@dataclass(frozen=True)
class HeaderDataUnit:
    """One HDU: its header, and where its data lie.

    Attributes
    ----------
    name : in upper case; empty if it has none.
    header : values by keyword; raw_header : its bytes.
    header_offset, data_offset, data_size : in bytes; the size is without padding.
    shape : of an image, in NumPy order.
    columns : of a table, by upper-case name.
    """

    name: str
    header: dict[str, HeaderValue]
    raw_header: bytes = field(repr=False)
    header_offset: int
    data_offset: int
    data_size: int
    shape: tuple[int, ...]
    columns: Mapping[str, TableColumn] = field(repr=False)

    @cached_property
    def is_table(self) -> bool:
        """Whether it is a binary table and not a compressed image."""
        return self.header.get("XTENSION") == "BINTABLE" and not self.is_compressed_image

    @cached_property
    def is_compressed_image(self) -> bool:
        """Whether it is a tile-compressed image."""
        return self.header.get("ZIMAGE") is True

    @cached_property
    def rows(self) -> int:
        """Rows of a table or image; an image with one axis has one."""
        if self.is_table:
            return self.integer("NAXIS2")
        return self.shape[0] if len(self.shape) > 1 else int(bool(self.shape) and self.shape[0] > 0)

    def integer(self, keyword: str, default: int = 0) -> int:
        """The value of an integer keyword."""
        value = self.header.get(keyword, default)
        return int(value) if isinstance(value, (int, float)) else default

    def text(self, keyword: str, default: str = "") -> str:
        """The value of a keyword as text, without padding."""
        value = self.header.get(keyword)
        return default if value is None else str(value).strip()

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of one row of a table, or of one spectrum of an image that is not compressed."""
        if self.is_table:
            return self.integer("NAXIS1")
        return abs(self.integer("BITPIX")) // 8 * (self.shape[-1] if self.shape else 0)

    @property
    def end(self) -> int:
        """Where the next HDU begins, if there is one."""
        return self.data_offset + padded(self.data_size)


PrefetchPlan = Callable[[Sequence[HeaderDataUnit], int | None], list[Range]]
"""The ranges that will be read next, as far as the HDUs read so far and the file's size say."""

Last = Callable[[HeaderDataUnit], bool]
"""Whether an HDU is the last that is needed."""

Unread = Callable[[HeaderDataUnit], bool]
"""Whether the data of an HDU will not be read: those of a compressed file are then not kept."""


def scan(
    source: ByteSource,
    url: str,
    prefetch: PrefetchPlan | None = None,
    until: Last | None = None,
    unread: Unread | None = None,
) -> tuple[HeaderDataUnit, ...]:
    """The HDUs of a file, from their headers alone: all, or up to the one that ``until`` calls the last.

    Over a network the ranges of ``prefetch`` are fetched together. It may be wrong: then a header is fetched
    when it is read. Data that are ``unread`` are not kept.

    Raises
    ------
    QuarantineError : not FITS (``not-fits``), or shorter than its headers say (``truncated-file``).
    """
    units: list[HeaderDataUnit] = []
    position = 0
    while not units or source.size is None or position < source.size:
        raw = _header_bytes(source, url, position)
        if raw is None:
            _check_is_end(source, url, position)
            break
        unit = _parse_unit(raw, position, url)
        position = unit.end  # with the padding: a file that lacks it is cut short too
        if source.size is not None and position > source.size:
            raise truncated(url, f"{source.size} bytes", position)
        units.append(unit)
        if unread is not None and unread(unit):
            source.skip(unit.data_offset, padded(unit.data_size) - BLOCK)  # its end shows a cut
        if until is not None and until(unit):
            return tuple(units)
        if prefetch is not None and not source.seeks_cheaply:
            source.prefetch(prefetch(units, source.size))
    if source.size is None and units:
        # The end of a compressed stream shows only by reading it.
        last = units[-1]
        if last.data_size:
            (byte,) = source.read_ranges([(last.data_offset + last.data_size - 1, 1)])
            if not byte:
                raise truncated(url, "fewer bytes than its headers say", last.data_offset + last.data_size)
    return tuple(units)


def _header_bytes(source: ByteSource, url: str, position: int) -> bytes | None:
    """The header that starts at ``position``; None if the file has no further HDU."""
    (raw,) = source.read_ranges([(position, HEADER_READ)])
    if position == 0 and raw[:6] != b"SIMPLE":
        raise QuarantineError(
            "The file is not a FITS file.",
            where=url,
            got=f"a file that starts with {raw[:16]!r}" if raw else "an empty file",
            allowed="a FITS file, plain or gzip-compressed",
            remedy="Fetch the file again, or leave it out.",
            kind=ErrorKind.NOT_FITS,
        )
    if position > 0 and raw[:8] != b"XTENSION":
        return None
    examined = 0
    while True:
        whole = len(raw) // BLOCK * BLOCK
        for block in range(examined, whole, BLOCK):
            for card in range(block, block + BLOCK, _CARD):
                if raw[card : card + 8] == b"END     ":
                    return raw[: block + BLOCK]
        examined = whole
        if whole >= _HEADER_LIMIT:
            raise QuarantineError(
                "A FITS header has no END.",
                where=url,
                got=f"{whole} bytes of header at byte {position}",
                allowed=f"at most {_HEADER_LIMIT} bytes",
                remedy="Fetch the file again, or leave it out.",
                kind=ErrorKind.NOT_FITS,
            )
        (more,) = source.read_ranges([(position + len(raw), max(HEADER_READ, len(raw)))])
        if not more:
            raise truncated(url, f"{position + len(raw)} bytes, inside a header", position + whole + BLOCK)
        raw += more


def _check_is_end(source: ByteSource, url: str, position: int) -> None:
    """Refuse a file with more than zeros behind its last HDU: HDUs with a damaged header would be lost."""
    start = position
    while len(data := source.read_ranges([(start, _PIECE)])[0]) >= BLOCK:
        if any(data):
            raise _undescribed(url, position, f"{data[:16]!r} where a header begins")
        start += len(data)


def _parse_unit(raw: bytes, position: int, url: str) -> HeaderDataUnit:
    header = parse_header(raw)
    try:
        axes = [_count(header, f"NAXIS{axis}") for axis in range(1, _count(header, "NAXIS") + 1)]
        if header["BITPIX"] not in IMAGE_TYPES:
            raise ValueError(f"BITPIX = {header['BITPIX']!r}")
        width = np.dtype(IMAGE_TYPES[int(str(header["BITPIX"]))]).itemsize
        groups, heap = (_count({"PCOUNT": 0, "GCOUNT": 1, **header}, name) for name in ("GCOUNT", "PCOUNT"))
        shape = axes
        if header.get("ZIMAGE") is True:
            shape = [_count(header, f"ZNAXIS{axis}") for axis in range(1, _count(header, "ZNAXIS") + 1)]
        columns = _parse_columns(header)
    except (KeyError, ValueError) as error:
        raise _undescribed(url, position, f"{type(error).__name__}: {error}") from error
    count = math.prod(axes) if axes else 0
    return HeaderDataUnit(
        name=str(header.get("EXTNAME", "") or "").strip().upper(),
        header=header,
        raw_header=raw,
        header_offset=position,
        data_offset=position + len(raw),
        data_size=width * groups * (heap + count),
        shape=tuple(reversed(shape)),
        columns=columns,
    )


def _undescribed(url: str, position: int, got: str) -> QuarantineError:
    return QuarantineError(
        "A FITS header does not describe its data.",
        where=f"{url}, HDU at byte {position}",
        got=got,
        allowed="XTENSION, BITPIX, NAXIS and NAXISn as the FITS standard has them",
        remedy="Fetch the file again, or leave it out.",
        kind=ErrorKind.NOT_FITS,
    )


def _count(header: dict[str, HeaderValue], keyword: str) -> int:
    value = header[keyword]
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{keyword} = {value!r}")
    return value


def parse_header(raw: bytes) -> dict[str, HeaderValue]:
    """Values by keyword of a header's cards, without comments; texts are whole, with their CONTINUE cards."""
    header: dict[str, HeaderValue] = {}
    text, last = raw.decode("latin-1"), ""
    for start in range(0, len(text), _CARD):
        if text[start + 8 : start + 10] == "= ":
            keyword, value = _parse_card(text[start : start + _CARD])
            last = "" if keyword in header else keyword
            header.setdefault(keyword, value)
        elif text[start : start + 8] == "CONTINUE":
            begun = header.get(last)
            if isinstance(begun, str) and begun.endswith("&"):
                header[last] = f"{begun[:-1]}{_parse_value(text[start + 8 : start + _CARD]) or ''}"
        elif text[start : start + 8] == "END     ":
            break
    return header


@lru_cache(maxsize=8192)
def _parse_card(card: str) -> tuple[str, HeaderValue]:
    """Keyword and value. They are cached: the files of a release share most of their cards."""
    return card[:8].rstrip(), _parse_value(card[10:])


def _parse_value(text: str) -> HeaderValue:
    text = text.strip()
    if text.startswith("'"):
        end = text.find("'", 1)
        while end >= 0 and text[end + 1 : end + 2] == "'":  # '' stands for a quote
            end = text.find("'", end + 2)
        return text[1 : end if end >= 0 else None].replace("''", "'").rstrip()
    text = text.split("/", 1)[0].strip()
    if text in ("T", "F"):
        return text == "T"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text.replace("D", "E"))
    except ValueError:
        return text or None


def _parse_columns(header: dict[str, HeaderValue]) -> Mapping[str, TableColumn]:
    """Columns of a binary table by upper-case name (TTYPE is case-insensitive by the standard)."""
    if header.get("XTENSION") != "BINTABLE" or header.get("ZTABLE") is True:
        return {}
    row_width = _count(header, "NAXIS1")
    return _columns_of(
        row_width,
        tuple(
            tuple(header.get(f"{keyword}{number}") for keyword in _COLUMN_KEYWORDS)
            for number in range(1, _count(header, "TFIELDS") + 1)
        ),
    )


@lru_cache(maxsize=256)
def _columns_of(row_width: int, cards: tuple[tuple[HeaderValue, ...], ...]) -> Mapping[str, TableColumn]:
    """Columns from their keywords. They are cached: the tables of a release are alike."""
    columns: dict[str, TableColumn] = {}
    offset = 0
    for number, (title, described, zero, scale, null) in enumerate(cards, 1):
        match = _TFORM.match(str(described or ""))
        if match is None:
            break  # offsets behind it are unknown
        repeat, code = int(match[1] or 1), match[2]
        if code == "A":
            form, width = f"S{repeat}", repeat
        elif code == "X":
            form, width = f"V{(repeat + 7) // 8}", (repeat + 7) // 8
        elif code in "PQ":
            width = repeat * (8 if code == "P" else 16)
            form = f"V{width}"
        else:
            width = repeat * np.dtype(_COLUMN_TYPES[code]).itemsize
            form = _COLUMN_TYPES[code] if repeat == 1 else f"({repeat},){_COLUMN_TYPES[code]}"
        if offset + width > row_width:
            raise ValueError(f"column {number} ends at byte {offset + width} of rows of {row_width} bytes")
        name = str(title or "").strip().upper()
        if name and width:
            defined = null if isinstance(null, int) else None
            columns.setdefault(
                name, TableColumn(name, form, offset, factor(zero, 0), factor(scale, 1), defined)
            )
        offset += width
    else:
        if offset != row_width:
            raise ValueError(f"columns of {offset} bytes in rows of {row_width} bytes")
    return columns


def factor(value: HeaderValue, default: float) -> float:
    """The number of a keyword that shifts or scales values, an integer where it is written as one."""
    return value if isinstance(value, (int, float)) else default


def row_range(unit: HeaderDataUnit, start: int, stop: int) -> Range:
    """The range of rows ``start`` to ``stop`` of a table or image; all of a compressed image."""
    if unit.is_compressed_image:
        return unit.header_offset, unit.end - unit.header_offset
    return unit.data_offset + start * unit.row_bytes, max(0, stop - start) * unit.row_bytes


def padded(size: int) -> int:
    """A data size with the padding that fills its last block."""
    return -(-size // BLOCK) * BLOCK


def truncated(url: str, got: str, needed: int) -> QuarantineError:
    """The error for a file that ends before byte ``needed``."""
    return QuarantineError(
        "The file is cut short.",
        where=url,
        got=got,
        allowed=f"at least {needed} bytes, as its headers say",
        remedy="Fetch the file again: a transfer or a job that wrote it was interrupted.",
        kind=ErrorKind.TRUNCATED_FILE,
    )
