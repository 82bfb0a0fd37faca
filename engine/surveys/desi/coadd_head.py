"""The head of a DESI coadd: what its first headers say, for coadds whose checksums are published.

The fingerprint of such a file needs no header (:mod:`engine.surveys.fingerprint`), so what is left to find
out is what names its spectra and how many there are: the primary header and that of FIBERMAP, which DESI's
pipeline writes first. Whatever is not as expected is left to :func:`engine.surveys.reading.inspect`. What
is wrong further down (an arm that lacks, an end that is cut off) shows when the spectra are read.
"""

from __future__ import annotations

import re

from engine.files.fits_headers import BLOCK, parse_header
from engine.spectra.rows import Rows
from engine.spectra.source_file import SourceFile
from engine.surveys.desi import coadd as desi_coadd
from engine.surveys.fingerprint import published_fingerprint
from engine.surveys.layout import Candidate
from engine.surveys.reader import write_names

HEAD_BYTES = 16 * BLOCK
"""Bytes that hold both headers: 2 and 6 blocks in DR1, where FIBERMAP has a long comment per column."""

_CARD = 80
_END = b"END" + b" " * 77
_ROWS = re.compile(rb"NAXIS2  = +(\d{1,7})(?: |$)")  # of more rows all headers are looked at
_EXTNAME = re.compile(rb"EXTNAME = 'FIBERMAP *'")
_COADD_COLUMNS = {b"TARGETID", b"COADD_FIBERSTATUS"}
_COLUMN = re.compile(rb"TTYPE\d+ *= '(TARGETID|COADD_FIBERSTATUS) *'")


def describe(candidate: Candidate, head: bytes, sums: tuple[str, ...]) -> SourceFile | None:
    """A coadd described from its first bytes; None where they do not tell, as without a file of redshifts.

    Parameters
    ----------
    sums : published SHA-256 of the coadd and of its redshifts.
    """
    if not candidate.redshift_url:
        return None
    primary_size = _header_size(head, 0)
    size = _header_size(head, primary_size) if primary_size else 0
    if not head.startswith(b"SIMPLE") or not size:
        return None
    primary = parse_header(head[:primary_size])
    cards = head[primary_size : primary_size + size]
    rows = _value(_ROWS, cards)
    usual = primary.get("NAXIS") == 0 and cards.startswith(b"XTENSION= 'BINTABLE'")
    if not usual or rows is None or _value(_EXTNAME, cards) is None:
        return None
    if not set(_COLUMN.findall(cards)) >= _COADD_COLUMNS:
        return None
    names = desi_coadd.names_of(candidate.url, primary)
    try:
        write_names(Rows.empty(1).data, names)
    except ValueError:
        return None
    return SourceFile(
        candidate.url,
        candidate.redshift_url,
        desi_coadd.NAME,
        int(rows),
        published_fingerprint(sums, names),
        *names,
        desi_coadd.key_prefix_of(candidate.url, primary),
    )


def _header_size(head: bytes, start: int) -> int:
    """Bytes of the header at ``start``; 0 where it does not end within ``head``."""
    place = head.find(_END, start)
    while place >= 0 and (place - start) % _CARD:
        place = head.find(_END, place + 1)
    if place < 0:
        return 0
    size = -(-(place + _CARD - start) // BLOCK) * BLOCK
    return size if start + size <= len(head) else 0


def _value(pattern: re.Pattern[bytes], cards: bytes) -> str | None:
    """What a pattern finds at the beginning of a card."""
    for match in pattern.finditer(cards):
        if match.start() % _CARD == 0:
            return _text(match[match.lastindex or 0])
    return None


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip()
