"""MOC: a region of the sky made of HEALPix cells, as a condition.

Formats are those of the IVOA recommendation "MOC: Multi-Order Coverage map", version 2.0: FITS (NUNIQ and
ranges), ASCII and JSON. Cells are nested and in ICRS.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.query.conditions.condition import Condition, quoted
from models.errors import ErrorKind, InputError

ORDER = 29
"""Order of the cells by which regions are held, the finest."""

MOST_RANGES = 64
"""Ranges that a condition lists; of more it lists hulls, and then compares cells."""

_CELLS = 12 << 2 * ORDER
_ASCII = re.compile(r"\s*s?\s*[0-9]+\s*/[0-9\s,/-]*")
_ITEM = re.compile(r"(?P<order>[0-9]{1,2})/|(?P<first>[0-9]{1,19})(?:-(?P<last>[0-9]{1,19}))?")


@dataclass(frozen=True, eq=False)
class Moc:
    """A region as ranges of nested HEALPix cells of order 29.

    Attributes
    ----------
    starts, stops : (n,) int64, first cell and the one after the last of each range; rising, apart.
    """

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]

    def condition(self, healpix: str = "healpix_29") -> Condition:
        """Of a column of nested cells of order 29; -1 and NULL, for no position, are in no region."""
        name = quoted(healpix)
        starts, stops = _hulls(self.starts, self.stops)
        ranges = " OR ".join([f"{name} BETWEEN ? AND ?"] * len(starts))
        sql = f"({ranges or 'FALSE'})"
        parameters: list[object] = np.stack([starts, stops - 1], axis=1).ravel().tolist()
        if len(starts) < len(self.starts):
            cells = self.cells()
            member = f"({name} >> ?) IN (SELECT unnest(CAST(? AS BIGINT[])))"
            sql += f" AND ({' OR '.join([member] * len(cells))})"
            for order, pixels in cells.items():
                parameters += [2 * (ORDER - order), pixels.tolist()]
        return Condition(sql, tuple(parameters), frozenset((healpix,)))

    def cells(self) -> dict[int, NDArray[np.int64]]:
        """The largest cells that make up the region, by their order."""
        found: dict[int, NDArray[np.int64]] = {}
        starts, stops = self.starts, self.stops
        for order in range(ORDER + 1):
            shift = 2 * (ORDER - order)
            first, last = -(-starts >> shift), stops >> shift
            whole = first < last
            if whole.any():
                found[order] = _counted(first[whole], last[whole])
            inner = np.where(whole, first << shift, stops)
            after = np.where(whole, last << shift, stops)
            starts, stops = np.concatenate([starts, after]), np.concatenate([inner, stops])
            left = starts < stops
            starts, stops = starts[left], stops[left]
        return found


def read_moc(given: str) -> Moc:
    """A region from a file, or written out: ``5/1-3 7 6/40`` or ``{"5": [1, 2, 3, 7], "6": [40]}``.

    Raises
    ------
    InputError : the file cannot be read; it or the text is no MOC of the sky in ICRS.
    """
    if given.lstrip().startswith("{") or _ASCII.fullmatch(given):
        return _from_text(given, "--moc")
    try:
        content = Path(given).read_bytes()
    except (OSError, ValueError) as error:
        raise _refused("The MOC cannot be read.", given, str(error), "Give the path of a file.") from error
    if content.startswith(b"SIMPLE"):
        return _from_fits(content, given)
    try:
        return _from_text(content.decode("ascii"), given)
    except UnicodeDecodeError as error:
        raise _refused("The file is no MOC.", given, "bytes that are no ASCII") from error


def _from_text(text: str, where: str) -> Moc:
    try:
        ranges = _json_ranges(text) if text.lstrip().startswith("{") else _ascii_ranges(text)
    except (ValueError, RecursionError) as error:
        raise _refused("The text is no MOC.", where, str(error)) from error
    return _region(np.array(ranges, dtype=np.object_).reshape(-1, 2), where)


def _json_ranges(text: str) -> list[tuple[int, int]]:
    found = json.loads(text)
    ranges: list[tuple[int, int]] = []
    for name, pixels in found.items():
        if not isinstance(pixels, list) or not all(type(pixel) is int for pixel in pixels):
            raise ValueError(f"cells of order {name} that are no list of integers")
        ranges += [_range(int(name), pixel, pixel) for pixel in pixels]
    return ranges


def _ascii_ranges(text: str) -> list[tuple[int, int]]:
    order, ranges = -1, []
    for item in text.strip().removeprefix("s").replace(",", " ").replace("/", "/ ").split():
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(repr(item[:40]))
        if match["order"]:
            order = int(match["order"])
        else:
            ranges.append(_range(order, int(match["first"]), int(match["last"] or match["first"])))
    return ranges


def _range(order: int, first: int, last: int) -> tuple[int, int]:
    """Cells of an order, both included, as cells of order 29, the last not included."""
    if not (0 <= order <= ORDER and 0 <= first <= last < 12 << 2 * order):
        raise ValueError(f"cells {first} to {last} of order {order}")
    shift = 2 * (ORDER - order)
    return first << shift, (last + 1) << shift


def _from_fits(content: bytes, where: str) -> Moc:
    from astropy.io import fits

    try:
        with fits.open(io.BytesIO(content), memmap=False) as hdus:
            header, data = hdus[1].header, hdus[1].data
            numbers = np.asarray(data.field(0)).ravel()
            ordering = str(header.get("ORDERING", "NUNIQ")).strip().upper()
            system = str(header.get("COORDSYS", "C")).strip().upper()
            kind = str(header.get("MOCDIM", "SPACE")).strip().upper()
    except Exception as error:  # astropy has many for damaged files
        raise _refused("The file is no MOC.", where, f"{type(error).__name__}: {error}") from error
    if kind != "SPACE" or system not in ("C", "ICRS"):
        raise _refused("The MOC is not of the sky in ICRS.", where, f"MOCDIM {kind}, COORDSYS {system}")
    if numbers.dtype.kind not in "iu":
        raise _refused("The file is no MOC.", where, f"a column of {numbers.dtype}")
    if ordering == "RANGE" and numbers.dtype.itemsize == 8 and not len(numbers) % 2:
        return _region(numbers.astype(np.int64).reshape(-1, 2), where)
    if ordering == "NUNIQ":
        return _region(_unpacked(numbers.astype(np.int64), where), where)
    raise _refused(
        "The file is no MOC.", where, f"ORDERING {ordering}, {len(numbers)} numbers of {numbers.dtype}"
    )


def _unpacked(uniq: NDArray[np.int64], where: str) -> NDArray[np.int64]:
    """(n, 2) ranges of cells that are packed as 4 * 4**order + cell."""
    ranges = np.full((len(uniq), 2), -1, dtype=np.int64)
    for order in range(ORDER + 1):
        of = (uniq >= 4 << 2 * order) & (uniq < 16 << 2 * order)
        first = uniq[of] - (4 << 2 * order)
        ranges[of] = np.stack([first, first + 1], axis=1) << 2 * (ORDER - order)
    if (ranges < 0).any():
        raise _refused("The file is no MOC.", where, f"cell {uniq[(ranges < 0).any(axis=1)][0]}")
    return ranges


def _region(ranges: NDArray[np.int64] | NDArray[np.object_], where: str) -> Moc:
    """Of (n, 2) ranges in any order, which may overlap."""
    outside = (ranges[:, 0] < 0) | (ranges[:, 0] > ranges[:, 1]) | (ranges[:, 1] > _CELLS)
    if outside.any():
        raise _refused("The file is no MOC.", where, f"cells {ranges[outside][0].tolist()} of order {ORDER}")
    ranges = ranges.astype(np.int64)[np.argsort(ranges[:, 0], kind="stable")]
    ranges = ranges[ranges[:, 0] < ranges[:, 1]]
    reach = np.maximum.accumulate(ranges[:, 1])
    begins = np.append(True, ranges[1:, 0] > reach[:-1])[: len(ranges)]
    ends = np.append(begins[1:], True)[: len(ranges)]
    return Moc(ranges[begins, 0], reach[ends])


def _hulls(
    starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most :data:`MOST_RANGES` ranges around these: the smallest gaps are closed."""
    if len(starts) <= MOST_RANGES:
        return starts, stops
    gaps = starts[1:] - stops[:-1]
    kept = np.sort(np.argsort(gaps, kind="stable")[len(gaps) - MOST_RANGES + 1 :])
    return starts[np.append(0, kept + 1)], stops[np.append(kept, len(stops) - 1)]


def _counted(first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """The integers of ranges, the last not included, one range after the other."""
    lengths = last - first
    ends = np.cumsum(lengths)
    counted: NDArray[np.int64] = np.arange(ends[-1]) + np.repeat(first - (ends - lengths), lengths)
    return counted


def _refused(
    what: str, where: str, got: str, remedy: str = "Make it anew, in FITS, ASCII or JSON, in ICRS."
) -> InputError:
    return InputError(
        what,
        where=where,
        got=got,
        allowed="a MOC of the sky: FITS, ASCII such as 5/1-3 7, or JSON",
        remedy=remedy,
        kind=ErrorKind.MOC,
    )
