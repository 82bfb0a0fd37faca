"""Files that a run could not read: they get new rows only when they can be read now.

A row of a store is never changed, so every attempt at such a file would leave its spectra another time as
rows that say "unreadable". A release whose server lacks one file for ever would grow with every nightly run.
So before a plan is made, what could not be read before is read once more; what fails again is quarantined as
a listing sets files aside, with its reason, and the store stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from engine.spectra.source_file import RefusedFile, ReleaseListing, SourceFile
from engine.store.snapshot import Snapshot
from engine.surveys.reading import read_spectra, verify
from models.errors import QuarantineError, RetryError

_THREADS = 4


def without_unreadable(listing: ReleaseListing, snapshot: Snapshot) -> ReleaseListing:
    """The listing with those files refused that are in the store as unreadable and still are.

    Costs nothing where there are none; such files are read whole.
    """
    unreadable = snapshot.unreadable_files
    failed = [file for file in listing.files if file.fingerprint in unreadable]
    return quarantined(listing, failed, read_spectra) if failed else listing


def quarantined(
    listing: ReleaseListing, files: Sequence[SourceFile], check: Callable[[SourceFile], object]
) -> ReleaseListing:
    """The listing with those of ``files`` refused for which ``check`` raises, with its reason."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="checking") as pool:
        answers = list(pool.map(lambda file: _refusal(file, check), files))
    refused = {answer.url: answer for answer in answers if answer is not None}
    return replace(
        listing,
        files=tuple(file for file in listing.files if file.url not in refused),
        refused=tuple(sorted((*listing.refused, *refused.values()), key=lambda file: file.url)),
    )


def _refusal(file: SourceFile, check: Callable[[SourceFile], object]) -> RefusedFile | None:
    """Why a file does not pass the check, or None if it does."""
    try:
        check(file)
    except (QuarantineError, RetryError) as error:
        return RefusedFile(file.url, error.kind, str(error))
    return None


def without_corrupt(listing: ReleaseListing, files: Sequence[SourceFile]) -> ReleaseListing:
    """The listing with those of ``files`` refused whose bytes are not those that were written.

    Files without DATASUMs pass.
    """
    return quarantined(listing, files, verify)
