"""Files that get no rows: what could not be read and still cannot, what is corrupt, what the store has.

A row of a store is never changed, so every attempt at such a file would leave its spectra another time as
rows that say "unreadable". A release whose server lacks one file for ever would grow with every nightly run.
So before a plan is made, what could not be read before is read once more; what fails again is
quarantined with its reason, like a file that the listing refuses, and the store stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from engine.spectra.source_file import RefusedFile, ReleaseListing, SourceFile
from engine.store.snapshot import Snapshot
from engine.surveys.reading import read_spectra, verify
from models.errors import ErrorKind, QuarantineError, RetryError

_THREADS = 4


def without_unreadable(listing: ReleaseListing, snapshot: Snapshot) -> ReleaseListing:
    """The listing with those files refused that are in the store as unreadable and still are.

    Costs nothing where there are none; such files are read whole.
    """
    unreadable = snapshot.unreadable_files
    failed = [file for file in listing.files if file.fingerprint in unreadable]
    return quarantined(listing, failed, read_spectra) if failed else listing


def without_held(listing: ReleaseListing, snapshot: Snapshot) -> ReleaseListing:
    """The listing with those files refused whose spectra the store has from files of another form.

    These are the files of single fibres of a plate that the store has, and the other way round.
    """
    form = {file.reader for file in listing.files}
    held = {
        file.key_prefix: file
        for file in snapshot.files.values()
        if file.key_prefix and file.reader not in form
    }
    of_plates = {_plate_of(prefix): file for prefix, file in held.items()}

    def check(file: SourceFile) -> None:
        other = held.get(_plate_of(file.key_prefix)) or of_plates.get(file.key_prefix)
        if other is not None:
            raise QuarantineError(
                "The store has the spectra of this file from a file of another form.",
                where=file.url,
                got=f"spectra of {file.key_prefix}, as in {other.url}",
                allowed="plates, or files of single spectra, of the same fibres",
                remedy="Give the other form a store of its own.",
                kind=ErrorKind.CONFLICTING_FILE,
            )

    return quarantined(listing, listing.files, check) if held else listing


def _plate_of(key_prefix: str) -> str:
    """What keys of the plate begin with, for the prefix of a fibre."""
    return key_prefix.rpartition("-")[0]


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
