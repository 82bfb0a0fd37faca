"""Every byte of files compared with the DATASUMs in their headers, before anything is done with them.

A run compares what it reads (:mod:`engine.readers.data_sums`), but a file whose spectra are shared out
between two blocks passes whole through neither. Who does not trust a disk or a copy has everything compared
first, at the cost of reading it twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.readable_again import set_aside
from engine.readers.registry import verify
from engine.source_file import ReleaseListing, SourceFile


def without_corrupt(listing: ReleaseListing, files: Sequence[SourceFile]) -> ReleaseListing:
    """The listing with those of ``files`` refused whose bytes are not those that were written.

    Files without DATASUMs (of SDSS) pass.
    """
    return set_aside(listing, files, verify)
