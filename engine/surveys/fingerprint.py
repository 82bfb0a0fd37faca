"""Fingerprints of source files: equal when the content that matters is equal, cheap to take.

A fingerprint is the hex SHA-256 of a short text. It begins with :data:`VERSION`, so that a change of this
recipe changes every fingerprint at once instead of some by accident, and with what names the spectra
(specprod, survey, program), which may come from the path. Then:

- where the survey publishes the SHA-256 of every file that is read (spectra and redshifts), in the
  ``redux_*.sha256sum`` of its directory: these sums, and nothing else. Nothing need be opened to compare a
  file with one that is known;
- otherwise one part per file: its size, the published sum if there is one, and the names and DATASUMs of
  the HDUs that are read, from their headers; where neither says something about such an HDU, the SHA-256
  of its data.

Published sums and DATASUMs are what was recorded when the file was written: a byte that flips on disk does
not change them (:func:`engine.surveys.reading.verify` finds that), a file that is written anew does.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import threading
from collections.abc import Iterable, Sequence

from engine.files.byte_source import is_local, local_path, reading
from engine.files.file_systems import fault_of, open_file_system, retried
from engine.files.fits_file import FitsFile
from engine.files.fits_headers import HeaderDataUnit
from engine.files.many_reads import first_bytes

VERSION = "whyspec fingerprint 2"

_SUM_LINE = re.compile(r"^([0-9a-fA-F]{64})[ \t]+\*?(\S.*?)[ \t\r]*$", re.MULTILINE)
_SUM_FILE_LIMIT = 4 << 20


class PublishedChecksums:
    """The SHA-256 sums that directories publish about their files, each directory read once.

    Of directories that were not :meth:`load`-ed the sums are looked up when they are asked for.
    """

    def __init__(self) -> None:
        self._directories: dict[str, dict[str, str]] = {}
        self._failed: dict[str, Exception] = {}
        self._lock = threading.Lock()

    def load(self, files: Sequence[str], directories: Iterable[str] = ()) -> list[str]:
        """Read files of checksums together; returns those that do not exist.

        Parameters
        ----------
        files : their URLs.
        directories : directories that publish no sums but in ``files``.
        """
        missing = []
        for directory in directories:
            self._directories.setdefault(directory, {})
        for url, text in zip(files, first_bytes(files, _SUM_FILE_LIMIT), strict=True):
            directory = url.rpartition("/")[0]
            if isinstance(text, bytes):
                self._directories.setdefault(directory, {}).update(_parse_sums(text))
            elif fault_of(text) == "missing":
                missing.append(url)
            else:
                self._failed[directory] = text
        return missing

    def names(self, directory: str) -> tuple[str, ...] | None:
        """Names of the files that a loaded directory publishes sums of; None if they cannot be read."""
        return None if directory in self._failed else tuple(self._directories.get(directory, ()))

    def of(self, url: str) -> str:
        """The published SHA-256 of the file at ``url``, or empty text.

        Raises
        ------
        QuarantineError, RetryError : there are sums, but they cannot be read.
        """
        directory, _, name = url.rpartition("/")
        with self._lock:
            known, failed = self._directories.get(directory), self._failed.get(directory)
        if failed is not None:
            # Without its sum the file would pass for another.
            with reading(directory):
                raise failed
        if known is None:
            known = _read_sums(directory)
            with self._lock:
                self._directories[directory] = known
        return known.get(name, "")


def _read_sums(directory: str) -> dict[str, str]:
    sums: dict[str, str] = {}
    with reading(directory):
        if is_local(directory):
            paths = sorted(str(path) for path in local_path(directory or "/").glob("redux_*.sha256sum"))
        else:
            names = [entry.rstrip("/").rpartition("/")[2] for entry in _entries(directory)]
            paths = [
                f"{directory}/{name}" for name in sorted(names) if fnmatch.fnmatch(name, "redux_*.sha256sum")
            ]
        for text in first_bytes(paths, _SUM_FILE_LIMIT):
            if isinstance(text, Exception):
                raise text
            sums.update(_parse_sums(text))
    return sums


def _parse_sums(text: bytes) -> dict[str, str]:
    """SHA-256 by file name, of lines as ``sha256sum`` writes them; other lines say nothing."""
    return {
        match[2].rpartition("/")[2]: match[1].lower()
        for match in _SUM_LINE.finditer(text.decode("utf-8", "replace"))
    }


def _entries(directory: str) -> list[str]:
    """What a remote directory lists; nothing where the server lets files be read but not listed."""
    filesystem, root = open_file_system(directory)
    try:
        return [str(entry) for entry in retried(lambda: filesystem.ls(root, detail=False))]
    except Exception as error:
        if fault_of(error) in ("missing", "refused"):
            return []
        raise


def published_fingerprint(sums: Sequence[str], identity: Sequence[str]) -> str:
    """Hex digest of files whose SHA-256 is published: ``sums`` of spectra and, if any, of redshifts."""
    lines = [_first_lines(identity), *(f"published {known}" for known in sums)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def fingerprint(
    parts: Sequence[tuple[FitsFile, Sequence[HeaderDataUnit]]],
    published: PublishedChecksums,
    identity: Sequence[str] = (),
) -> str:
    """Hex digest of files, each given with the HDUs of it that are read.

    Parameters
    ----------
    parts : the spectra file and, where there is one, the redshift file.
    published : where published checksums are looked up.
    identity : what else names the spectra (specprod, survey, program), since no DATASUM covers it.

    Raises
    ------
    QuarantineError, RetryError : data had to be read and could not be.
    """
    sums = [published.of(file.url) for file, _ in parts]
    if all(sums):
        return published_fingerprint(sums, identity)
    lines = [_first_lines(identity)]
    for (file, units), known in zip(parts, sums, strict=True):
        lines.append(f"file {file.size} {known}")
        for unit in units:
            total = unit.text("DATASUM")
            if not total and not known:
                content = hashlib.sha256()
                for piece in file.content(unit):
                    content.update(piece)
                total = f"sha256:{content.hexdigest()}"
            lines.append(f"{unit.name} {unit.data_size} {total}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _first_lines(identity: Sequence[str]) -> str:
    return f"{VERSION}\nidentity {'/'.join(identity)}"
