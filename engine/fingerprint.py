"""Fingerprints of source files: equal when the content that matters is equal, cheap to take.

A fingerprint is the hex SHA-256 of a short text, one part per file (spectra, then redshifts):

- the file's size;
- the SHA-256 that the survey publishes in the directory's ``redux_*.sha256sum``, if it lists the file;
- the names and DATASUMs of the HDUs that are read, from their headers;
- where neither of the last two says something about such an HDU, the SHA-256 of its data.

The text begins with :data:`VERSION`, so a change of this recipe changes every fingerprint at once
instead of some by accident. A DATASUM is what the file's writer recorded: a byte that flips on disk
does not change it (:func:`engine.readers.registry.verify` finds that), a file that is written anew does.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import threading
from collections.abc import Sequence

from engine.file_systems import fault_of, open_file_system, patiently
from engine.readers.byte_source import is_local, local_path, open_bytes, reading
from engine.readers.fits_file import FitsFile
from engine.readers.fits_headers import HeaderDataUnit

VERSION = "whyspec fingerprint 1"

_SUM_LINE = re.compile(r"^([0-9a-fA-F]{64})[ \t]+\*?(.+?)\s*$")
_SUM_FILE_LIMIT = 64 << 20


class PublishedChecksums:
    """The SHA-256 sums that directories publish about their files, each directory read once."""

    def __init__(self) -> None:
        self._directories: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def of(self, url: str) -> str:
        """The published SHA-256 of the file at ``url``, or empty text."""
        directory, _, name = url.rpartition("/")
        with self._lock:
            known = self._directories.get(directory)
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
    for path in paths:
        source = open_bytes(path)
        try:
            with reading(path):
                (text,) = source.read_ranges([(0, source.size or _SUM_FILE_LIMIT)])
        finally:
            source.close()
        for line in text.decode("utf-8", "replace").splitlines():
            if match := _SUM_LINE.match(line):
                sums[match[2].rpartition("/")[2]] = match[1].lower()
    return sums


def _entries(directory: str) -> list[str]:
    """What a remote directory lists; nothing where the server lets files be read but not listed."""
    filesystem, root = open_file_system(directory)
    try:
        return [str(entry) for entry in patiently(lambda: filesystem.ls(root, detail=False))]
    except Exception as error:
        if fault_of(error) in ("missing", "refused"):
            return []
        raise


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
    lines = [VERSION, "identity " + "/".join(identity)]
    for file, units in parts:
        known = published.of(file.url)
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
