"""FITS files by byte range: headers first, then only the rows and columns that are asked for.

Written for speed where it is needed (a header scan and plain big-endian arrays, FITS standard 4.0,
https://fits.gsfc.nasa.gov/fits_standard.html); tile-compressed images are left to astropy.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from engine.readers.byte_source import ByteSource, open_bytes, reading
from models.errors import QuarantineError

BLOCK = 2880
_CARD = 80
_FIRST_READ = 4 * BLOCK
_HEADER_LIMIT = 2000 * BLOCK

_IMAGE_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
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
_TFORM = re.compile(r"\s*(\d*)([LXBIJKAEDCMPQ])")

HeaderValue = str | int | float | bool | None


@dataclass(frozen=True)
class TableColumn:
    """One column of a binary table: where it lies in a row and how to decode it."""

    name: str
    format: str
    offset: int
    zero: float


@dataclass(frozen=True)
class HeaderDataUnit:
    """One HDU: its header as a dict, and where its data lie.

    ``shape`` is in NumPy order. ``columns`` are keyed by upper-case name, empty for images.
    """

    name: str
    header: dict[str, HeaderValue]
    raw_header: bytes = field(repr=False)
    header_offset: int
    data_offset: int
    data_size: int
    shape: tuple[int, ...]
    columns: dict[str, TableColumn] = field(repr=False)

    @property
    def is_table(self) -> bool:
        """Whether it is a binary table and not a compressed image."""
        return self.header.get("XTENSION") == "BINTABLE" and not self.is_compressed_image

    @property
    def is_compressed_image(self) -> bool:
        """Whether it is a tile-compressed image."""
        return self.header.get("ZIMAGE") is True

    @property
    def rows(self) -> int:
        """Rows of a table; spectra of an image, which has one where it has one axis."""
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


class FitsFile:
    """A FITS file whose headers have been read; use it in a ``with`` statement.

    Raises
    ------
    QuarantineError : not FITS (``not-fits``), cut short (``truncated-file``), or not readable.
    RetryError : the disk or network failed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._source: ByteSource = open_bytes(url)
        try:
            with reading(url):
                self.units = _scan(self._source, url)
        except BaseException:
            self._source.close()
            raise
        self._by_name: dict[str, HeaderDataUnit] = {}
        for unit in self.units:
            self._by_name.setdefault(unit.name, unit)

    def __enter__(self) -> FitsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()

    @property
    def size(self) -> int:
        """Size in bytes as far as the headers tell: the end of the last HDU's padded data."""
        last = self.units[-1]
        return last.data_offset + _padded(last.data_size)

    @property
    def primary(self) -> HeaderDataUnit:
        """The first HDU."""
        return self.units[0]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def names(self) -> list[str]:
        """Names of the HDUs in upper case, in file order; empty text where there is none."""
        return [unit.name for unit in self.units]

    def unit(self, name: str) -> HeaderDataUnit:
        """The first HDU of that upper-case name.

        Raises
        ------
        QuarantineError : there is none (``missing-hdu``).
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise QuarantineError(
                f"The file has no HDU {name}.",
                where=self.url,
                got=", ".join(name for name in self.names() if name) or "no named HDU",
                allowed=f"an HDU with EXTNAME = {name}",
                remedy="Fetch the file again, or give the release's own file instead of a cut-down copy.",
                kind="missing-hdu",
            ) from None

    def images(self, names: Sequence[str], start: int, stop: int) -> list[NDArray[Any]]:
        """Rows ``start`` to ``stop`` of several images at once, as stored (big-endian).

        Unsigned integers (BZERO) come back as unsigned; an image with one axis is one row. Shape of
        each: (stop - start, pixels).
        """
        units = [self.unit(name) for name in names]
        plain = [unit for unit in units if not unit.is_compressed_image]
        parts = iter(self._ranges([_row_range(unit, start, stop) for unit in plain]))
        return [
            self._compressed_image(unit, start, stop)
            if unit.is_compressed_image
            else _decode_image(unit, next(parts), stop - start)
            for unit in units
        ]

    def vector(self, name: str) -> NDArray[Any]:
        """All values of a one-axis image, e.g. wavelengths."""
        unit = self.unit(name)
        (data,) = self._ranges([(unit.data_offset, unit.data_size)])
        return np.frombuffer(data, dtype=_IMAGE_TYPES[unit.integer("BITPIX")])

    def columns(
        self, unit: HeaderDataUnit, names: Sequence[str], start: int, stop: int
    ) -> dict[str, NDArray[Any]]:
        """Columns of rows ``start`` to ``stop`` of a table, in native byte order, keyed as asked.

        Names are upper case; those the table lacks are left out. Texts come back as ``U`` without padding.
        """
        width = unit.integer("NAXIS1")
        wanted = [unit.columns[name] for name in names if name in unit.columns]
        (data,) = self._ranges([(unit.data_offset + start * width, max(0, stop - start) * width)])
        rows = np.frombuffer(
            data,
            dtype=np.dtype(
                {
                    "names": [column.name for column in wanted],
                    "formats": [column.format for column in wanted],
                    "offsets": [column.offset for column in wanted],
                    "itemsize": width,
                }
            ),
        )
        return {column.name: _decode_column(rows[column.name], column.zero) for column in wanted}

    def content(self, unit: HeaderDataUnit) -> bytes:
        """The data bytes of an HDU, without padding."""
        (data,) = self._ranges([(unit.data_offset, unit.data_size)])
        return data

    def _ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        with reading(self.url):
            parts = self._source.read_ranges(ranges)
        for (offset, length), part in zip(ranges, parts, strict=True):
            if len(part) < length:
                raise _truncated(self.url, f"data up to byte {offset + len(part)}", offset + length)
        return parts

    def _compressed_image(self, unit: HeaderDataUnit, start: int, stop: int) -> NDArray[Any]:
        if stop <= start:
            return np.zeros((0, unit.shape[-1]), dtype=np.int32)
        with reading(self.url):
            (data,) = self._source.read_ranges(
                [(unit.header_offset, unit.data_offset - unit.header_offset + _padded(unit.data_size))]
            )
        # astropy wants a whole file: this HDU behind an empty primary.
        empty = fits.PrimaryHDU().header.tostring().encode("ascii")
        with fits.open(io.BytesIO(empty + data), memmap=False) as hdus:
            image: NDArray[Any] = hdus[1].section[start:stop]
        return np.asarray(image)


def _row_range(unit: HeaderDataUnit, start: int, stop: int) -> tuple[int, int]:
    width = abs(unit.integer("BITPIX")) // 8 * unit.shape[-1]
    return unit.data_offset + start * width, max(0, stop - start) * width


def _decode_image(unit: HeaderDataUnit, data: bytes, rows: int) -> NDArray[Any]:
    image = np.frombuffer(data, dtype=_IMAGE_TYPES[unit.integer("BITPIX")]).reshape(rows, unit.shape[-1])
    zero, scale = unit.header.get("BZERO", 0), unit.header.get("BSCALE", 1)
    if scale not in (1, None) or zero not in (0, None):
        if scale == 1 and image.dtype.kind == "i" and zero == 2 ** (8 * image.dtype.itemsize - 1):
            return image.view(f">u{image.dtype.itemsize}") ^ np.array(int(zero), dtype=f"u{image.dtype.itemsize}")
        return image * np.float64(scale if isinstance(scale, (int, float)) else 1) + np.float64(
            zero if isinstance(zero, (int, float)) else 0
        )
    return image


def _decode_column(values: NDArray[Any], zero: float) -> NDArray[Any]:
    if values.dtype.kind == "S":
        return np.char.strip(np.char.decode(values, "latin-1"))
    native = values.astype(values.dtype.newbyteorder("="))
    if zero:
        bits = 8 * native.dtype.itemsize
        if native.dtype.kind == "i" and zero == 2.0 ** (bits - 1):
            return native.view(f"u{bits // 8}") ^ np.array(1 << (bits - 1), dtype=f"u{bits // 8}")
        return native + zero
    return native


def _scan(source: ByteSource, url: str) -> tuple[HeaderDataUnit, ...]:
    """All HDUs of a file, from its headers alone."""
    units: list[HeaderDataUnit] = []
    position = 0
    while source.size is None or position < source.size:
        raw = _header_bytes(source, url, position)
        if raw is None:
            break
        unit = _parse_unit(raw, position, url)
        end = unit.data_offset + unit.data_size
        if source.size is not None and end > source.size:
            raise _truncated(url, f"{source.size} bytes", end)
        units.append(unit)
        position = unit.data_offset + _padded(unit.data_size)
    if source.size is None and units:
        # The end of a compressed stream shows only by reading it.
        last = units[-1]
        if last.data_size:
            (byte,) = source.read_ranges([(last.data_offset + last.data_size - 1, 1)])
            if not byte:
                raise _truncated(url, "fewer bytes than its headers say", last.data_offset + last.data_size)
    return tuple(units)


def _header_bytes(source: ByteSource, url: str, position: int) -> bytes | None:
    """The header that starts at ``position``; None where the file holds no further HDU."""
    (raw,) = source.read_ranges([(position, _FIRST_READ)])
    if position == 0 and raw[:6] != b"SIMPLE":
        raise QuarantineError(
            "The file is not a FITS file.",
            where=url,
            got=f"a file that starts with {raw[:16]!r}" if raw else "an empty file",
            allowed="a FITS file, plain or gzip-compressed",
            remedy="Fetch the file again, or leave it out.",
            kind="not-fits",
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
                kind="not-fits",
            )
        (more,) = source.read_ranges([(position + len(raw), max(_FIRST_READ, len(raw)))])
        if not more:
            raise _truncated(url, f"{position + len(raw)} bytes, inside a header", position + whole + BLOCK)
        raw += more


def _parse_unit(raw: bytes, position: int, url: str) -> HeaderDataUnit:
    header = parse_header(raw)
    try:
        axes = [_count(header, f"NAXIS{axis}") for axis in range(1, _count(header, "NAXIS") + 1)]
        bits = abs(int(str(header["BITPIX"])))
    except (KeyError, ValueError) as error:
        raise QuarantineError(
            "A FITS header lacks what its data's size follows from.",
            where=f"{url}, HDU at byte {position}",
            got=f"{type(error).__name__}: {error}",
            allowed="integers BITPIX, NAXIS and NAXISn",
            remedy="Fetch the file again, or leave it out.",
            kind="not-fits",
        ) from error
    count = math.prod(axes) if axes else 0
    size = bits // 8 * int(str(header.get("GCOUNT", 1))) * (int(str(header.get("PCOUNT", 0))) + count)
    shape = axes
    if header.get("ZIMAGE") is True:
        shape = [_count(header, f"ZNAXIS{axis}") for axis in range(1, _count(header, "ZNAXIS") + 1)]
    return HeaderDataUnit(
        name=str(header.get("EXTNAME", "") or "").strip().upper(),
        header=header,
        raw_header=raw,
        header_offset=position,
        data_offset=position + len(raw),
        data_size=size,
        shape=tuple(reversed(shape)),
        columns=_parse_columns(header),
    )


def _count(header: dict[str, HeaderValue], keyword: str) -> int:
    value = header[keyword]
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{keyword} = {value!r}")
    return value


def parse_header(raw: bytes) -> dict[str, HeaderValue]:
    """Keywords and values of a header's cards; comments and continued texts are left out."""
    header: dict[str, HeaderValue] = {}
    text = raw.decode("latin-1")
    for start in range(0, len(text), _CARD):
        if text[start + 8 : start + 10] == "= ":
            keyword = text[start : start + 8].rstrip()
            if keyword not in header:
                header[keyword] = _parse_value(text[start + 10 : start + _CARD])
        elif text[start : start + 8] == "END     ":
            break
    return header


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


def _parse_columns(header: dict[str, HeaderValue]) -> dict[str, TableColumn]:
    """Columns of a binary table by upper-case name (TTYPE is case-insensitive by the standard)."""
    if header.get("XTENSION") != "BINTABLE":
        return {}
    columns: dict[str, TableColumn] = {}
    offset = 0
    for number in range(1, int(str(header.get("TFIELDS", 0))) + 1):
        match = _TFORM.match(str(header.get(f"TFORM{number}", "")))
        if match is None:
            return columns  # offsets behind it are unknown
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
        name = str(header.get(f"TTYPE{number}", "") or "").strip().upper()
        zero = header.get(f"TZERO{number}", 0)
        if name and width:
            columns.setdefault(
                name, TableColumn(name, form, offset, float(zero) if isinstance(zero, (int, float)) else 0.0)
            )
        offset += width
    return columns


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _truncated(url: str, got: str, needed: int) -> QuarantineError:
    return QuarantineError(
        "The file is cut short.",
        where=url,
        got=got,
        allowed=f"at least {needed} bytes, as its headers say",
        remedy="Fetch the file again: a transfer or a job that wrote it was interrupted.",
        kind="truncated-file",
    )
