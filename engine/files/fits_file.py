"""FITS files by byte range: only the rows and columns that are asked for are read.

Plain arrays are decoded here, for speed; tile-compressed images by astropy.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.files.byte_ranges import ByteSource
from engine.files.byte_source import open_bytes, reading
from engine.files.data_sums import DataSums, folded, sum_of
from engine.files.decoding import decoding
from engine.files.fits_headers import (
    IMAGE_TYPES,
    HeaderDataUnit,
    Last,
    PrefetchPlan,
    TableColumn,
    Unread,
    factor,
    row_range,
    scan,
    truncated,
)
from models.errors import ErrorKind, QuarantineError

UNDEFINED = -1
"""What an undefined integer is decoded to: an identifier of nothing, or flags that are all set."""

_PIECE = 16 << 20

_COMPRESSIONS = ("GZIP_1", "GZIP_2", "RICE_1", "RICE_ONE", "PLIO_1", "NOCOMPRESS")
"""Of tile-compressed images. HCOMPRESS_1 is not here: its decoder ends the process on damaged data."""


class FitsFile:
    """A FITS file whose headers have been read; use it in a ``with`` statement.

    Several threads may read it at the same time.

    Parameters
    ----------
    url : path or fsspec URL.
    prefetch : plan of what will be read, as far as the first headers say; over a network it is fetched
        together. It may be wrong.
    until : the last HDU whose header is read; all are read without it.
    unread : says of which HDUs the data will not be read.

    Raises
    ------
    QuarantineError : not FITS (``not-fits``), cut short (``truncated-file``), or not readable.
    RetryError : the disk or network failed.
    """

    def __init__(
        self,
        url: str,
        prefetch: PrefetchPlan | None = None,
        until: Last | None = None,
        unread: Unread | None = None,
    ) -> None:
        self.url = url
        self._sums = DataSums(url)
        self._source: ByteSource = open_bytes(url)
        try:
            with reading(url):
                self.units = scan(self._source, url, prefetch, until, unread)
            self._sums.check_headers(self.units[1:])
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
        return self.units[-1].end

    @property
    def seeks_cheaply(self) -> bool:
        """Whether many small reads cost no more than one large one: on a disk, in memory."""
        return self._source.seeks_cheaply

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of the file that were prefetched or decompressed, and are in memory."""
        return self._source.bytes_in_memory

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
                kind=ErrorKind.MISSING_HDU,
            ) from None

    def require_columns(self, unit: HeaderDataUnit, names: Sequence[str]) -> None:
        """Raise QuarantineError (``missing-column``) unless ``unit`` is a table with all of ``names``."""
        missing = [name for name in names if name not in unit.columns]
        if missing:
            found = list(unit.columns)
            raise QuarantineError(
                f"A table lacks the column {missing[0]}.",
                where=f"{self.url}, HDU {unit.name or self.units.index(unit)}",
                got=", ".join(found[:12] + ["..."] * (len(found) > 12))
                or ("a compressed table" if unit.header.get("ZTABLE") else "no table"),
                allowed=f"a table with {', '.join(names)}",
                remedy="Fetch the file again, or give the release's own file instead of a cut-down copy.",
                kind=ErrorKind.MISSING_COLUMN,
            )

    def require_integers(
        self, unit: HeaderDataUnit, names: Sequence[str], digits: Sequence[str] = ()
    ) -> None:
        """Raise QuarantineError (``not-integers``) unless those of the columns that ``unit`` has are exact.

        For identifiers and flags, which a floating-point number has rounded: ``names`` must hold integers,
        ``digits`` integers or texts.
        """
        for column in (unit.columns[name] for name in (*names, *digits) if name in unit.columns):
            if not (column.is_integer or (column.name in digits and column.format.startswith("S"))):
                raise QuarantineError(
                    f"The column {column.name} does not hold integers.",
                    where=f"{self.url}, HDU {unit.name or self.units.index(unit)}",
                    got=f"NumPy type {column.format}, TSCAL {column.scale}, TZERO {column.zero}",
                    allowed="one integer a row (TFORM B, I, J or K, unsigned or not)",
                    remedy="Give the release's own file: identifiers and flags that were numbers with a "
                    "fraction on their way are not exact any more.",
                    kind=ErrorKind.NOT_INTEGERS,
                )

    def images(self, units: Sequence[HeaderDataUnit], start: int, stop: int) -> list[NDArray[Any]]:
        """Rows ``start`` to ``stop`` of several images at once, as stored (big-endian).

        Unsigned integers (BZERO) come back as unsigned; an image with one axis is one row. Shape of
        each: (stop - start, pixels).
        """
        plain = [unit for unit in units if not unit.is_compressed_image]
        ranges = [row_range(unit, start, stop) for unit in plain]
        found = self._ranges(ranges)
        for unit, (offset, _), data in zip(plain, ranges, found, strict=True):
            self._sums.add(unit, offset - unit.data_offset, data)
        parts = iter(found)
        return [
            self._compressed_image(unit, start, stop)
            if unit.is_compressed_image
            else _decode_image(unit, next(parts), stop - start)
            for unit in units
        ]

    def vector(self, name: str) -> NDArray[Any]:
        """All values of a one-axis image, e.g. wavelengths."""
        unit = self.unit(name)
        if unit.is_compressed_image:
            (values,) = self._compressed_image(unit, 0, 1)
            return np.asarray(values)
        (data,) = self._ranges([(unit.data_offset, unit.data_size)])
        return np.frombuffer(data, dtype=IMAGE_TYPES[unit.integer("BITPIX")])

    def columns(
        self, unit: HeaderDataUnit, names: Sequence[str], start: int, stop: int
    ) -> dict[str, NDArray[Any]]:
        """Columns of rows ``start`` to ``stop`` of a table, in native byte order, keyed as asked.

        Names are upper case; those the table lacks are left out. Texts come back as ``U`` without padding,
        undefined integers (TNULL) as :data:`UNDEFINED`, or NaN where they are scaled.
        """
        wanted = [unit.columns[name] for name in names if name in unit.columns]
        offset, length = row_range(unit, start, stop)
        (data,) = self._ranges([(offset, length)])
        self._sums.add(unit, offset - unit.data_offset, data)
        rows = np.frombuffer(
            data,
            dtype=np.dtype(
                {
                    "names": [column.name for column in wanted],
                    "formats": [column.format for column in wanted],
                    "offsets": [column.offset for column in wanted],
                    "itemsize": unit.row_bytes,
                }
            ),
        )
        return {column.name: _decode_column(rows[column.name], column) for column in wanted}

    def prefetch_rows(self, units: Sequence[HeaderDataUnit], start: int, stop: int) -> None:
        """Fetch rows of tables and images together, where that is quicker than one after the other."""
        if not self._source.seeks_cheaply:
            with reading(self.url):
                self._source.prefetch([row_range(unit, start, stop) for unit in units])

    def drop_rows(self, units: Sequence[HeaderDataUnit], start: int, stop: int) -> None:
        """Free the memory of what :meth:`prefetch_rows` fetched."""
        self._source.drop([row_range(unit, start, stop) for unit in units])

    def content(self, unit: HeaderDataUnit) -> Iterator[bytes]:
        """The data bytes of an HDU, without padding, in pieces of whole 4-byte words."""
        for offset in range(0, unit.data_size, _PIECE):
            length = min(_PIECE, unit.data_size - offset)
            yield self._ranges([(unit.data_offset + offset, length)])[0]

    def datasum(self, unit: HeaderDataUnit) -> int:
        """The sum that DATASUM records: the data's 32-bit words in ones' complement (FITS 4.0, app. J)."""
        return folded(sum(sum_of(piece) for piece in self.content(unit)))

    def check_sums(self) -> None:
        """Compare tables and images that have been read whole, in order, with the DATASUMs in their headers.

        Raises
        ------
        QuarantineError : a byte is not what it was when the file was written (``checksum-mismatch``).
        """
        self._sums.check()

    def _ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        with reading(self.url):
            parts = self._source.read_ranges(ranges)
        for (offset, length), part in zip(ranges, parts, strict=True):
            if len(part) < length:
                raise truncated(self.url, f"data up to byte {offset + len(part)}", offset + length)
        return parts

    def _compressed_image(self, unit: HeaderDataUnit, start: int, stop: int) -> NDArray[Any]:
        if stop <= start:
            return np.zeros((0, unit.shape[-1]), dtype=np.int32)
        (whole,) = self._ranges([row_range(unit, start, stop)])
        self._sums.add(unit, 0, whole[len(unit.raw_header) :][: unit.data_size])
        self._sums.check()  # what was changed is not decoded: a decoder may ask for any memory
        # astropy wants a whole file: this HDU behind an empty primary.
        # Imported here: nothing else in a file needs astropy.
        from astropy.io import fits

        empty = fits.PrimaryHDU().header.tostring().encode("ascii")
        rows = slice(start, stop) if len(unit.shape) > 1 else slice(None)
        with decoding(self.url):
            if unit.text("ZCMPTYPE") not in _COMPRESSIONS:
                raise ValueError(f"HDU {unit.name} is compressed by {unit.text('ZCMPTYPE') or 'nothing'}")
        with decoding(self.url), fits.open(io.BytesIO(empty + whole), memmap=False) as hdus:
            image: NDArray[Any] = np.asarray(hdus[1].section[rows])
            return image.reshape(stop - start, unit.shape[-1])


def _decode_image(unit: HeaderDataUnit, data: bytes, rows: int) -> NDArray[Any]:
    image: NDArray[Any] = np.frombuffer(data, dtype=IMAGE_TYPES[unit.integer("BITPIX")])
    image = image.reshape(rows, unit.shape[-1])
    zero, scale = factor(unit.header.get("BZERO"), 0), factor(unit.header.get("BSCALE"), 1)
    return _scaled(image, zero, scale, unit.header.get("BLANK"))


def _decode_column(stored: NDArray[Any], column: TableColumn) -> NDArray[Any]:
    if stored.dtype.kind == "S":
        return np.char.strip(np.char.decode(stored, "latin-1"))
    native = stored.astype(stored.dtype.newbyteorder("="))
    return _scaled(native, column.zero, column.scale, column.null)


def _scaled(stored: NDArray[Any], zero: float, scale: float, null: object) -> NDArray[Any]:
    """``zero + scale * stored``; integers stay integers, and ``null`` among them becomes undefined."""
    values, whole = stored, stored.dtype.kind in "iu"
    if scale != 1 or zero != int(zero) or (zero and not whole):
        values = stored * scale + zero
    elif zero:
        unsigned = _as_unsigned(stored, zero)
        values = stored.astype(np.int64) + int(zero) if unsigned is None else unsigned
    if whole and isinstance(null, int) and (undefined := stored == null).any():
        values = values.astype(np.int64 if values.dtype.kind in "iu" else values.dtype)
        values[undefined] = np.nan if values.dtype.kind == "f" else UNDEFINED
    return values


def _as_unsigned(values: NDArray[Any], zero: float) -> NDArray[Any] | None:
    """Integers stored with half their range subtracted, as FITS does for unsigned ones; None for others."""
    bits = 8 * values.dtype.itemsize
    if values.dtype.kind != "i" or zero != 1 << (bits - 1):
        return None
    kind = values.dtype.newbyteorder("=").str.replace("i", "u")
    unsigned: NDArray[Any] = values.astype(values.dtype.newbyteorder("=")).view(kind)
    unsigned ^= np.array(1 << (bits - 1), dtype=kind)
    return unsigned
