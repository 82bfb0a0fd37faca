"""DESI coadds by tile and petal: ``tiles/cumulative``, whose last night holds all earlier ones.

Paths after https://desidatamodel.readthedocs.io (DESI_SPECTRO_REDUX/SPECPROD/tiles).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.spectra.source_file import RefusedFile
from engine.surveys.desi.coadd_files import holds_all_coadds, redshift_urls
from engine.surveys.directory import subdirectory
from engine.surveys.layout import Candidate, Found, Layout
from engine.surveys.pairing import pair_listed
from models.errors import ErrorKind, QuarantineError

_PATH = re.compile(
    r"/\d+/(?:\d{8}|exp\d{8})/(?:coadd|redrock|zbest)-\d-\d+-(?:thru|exp)?\d{8}\.fits(?:\.[gf]z)?$"
)
_THROUGH = re.compile(r"^(.*/\d+)/(\d{8})/(coadd-\d)-\d+-thru\d{8}\.fits(?:\.[gf]z)?$")


def _base(root: str) -> str:
    return subdirectory(root, "tiles/cumulative", "cumulative")


def _select(_base: str, urls: Sequence[str]) -> Found:
    """Of a tile and petal coadded through several nights only the last counts: it contains the others."""
    candidates = pair_listed([url for url in urls if _PATH.search(url)], redshift_urls)
    last: dict[tuple[str, str], Candidate] = {}
    for candidate in candidates:  # ascending, so a later night comes later
        if match := _THROUGH.match(candidate.url):
            last[match[1], match[3]] = candidate
    wanted: list[Candidate] = []
    skipped: list[RefusedFile] = []
    for candidate in candidates:
        match = _THROUGH.match(candidate.url)
        latest = last[match[1], match[3]] if match else candidate
        if latest == candidate:
            wanted.append(candidate)
        else:
            skipped.append(_superseded(candidate, latest))
    return Found(tuple(wanted), tuple(skipped))


def _superseded(candidate: Candidate, latest: Candidate) -> RefusedFile:
    reason = QuarantineError(
        "A later night's coadd of the same tile and petal holds these spectra.",
        where=candidate.url,
        got=f"superseded by {latest.url}",
        remedy="Nothing to do. To score this one instead, give it as a file.",
        kind=ErrorKind.SUPERSEDED,
    )
    return RefusedFile(candidate.url, reason.kind, str(reason))


DESI_TILES = Layout(
    "desi-tiles",
    "tiles/cumulative/<tile>/<night>/coadd-<petal>-<tile>-thru<night>.fits",
    _base,
    _select,
    holds_all_coadds,
    skip=frozenset({"logs"}),
)
