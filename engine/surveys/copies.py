"""Copies: files of a release that hold the same spectra. One is used; the others are named."""

from __future__ import annotations

from collections.abc import Container, Sequence

from engine.spectra.source_file import RefusedFile, SourceFile
from engine.surveys.directory import unpacked
from engine.surveys.layout import Candidate
from models.errors import ErrorKind, QuarantineError


def unpacked_first(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[RefusedFile]]:
    """The candidates without those beside which the same file lies unpacked, and these with the reason."""
    urls = {candidate.url for candidate in candidates}
    kept: list[Candidate] = []
    skipped: list[RefusedFile] = []
    for candidate in candidates:
        plain = unpacked(candidate.url)
        if plain != candidate.url and plain in urls:
            skipped.append(_copy(candidate.url, plain))
        else:
            kept.append(candidate)
    return kept, skipped


def each_once(
    files: Sequence[SourceFile], known: Container[str]
) -> tuple[list[SourceFile], list[RefusedFile], list[RefusedFile]]:
    """The files without copies of others: those kept, in their order, those skipped and those refused.

    What has the content of another file is skipped. What has another content and would give spectra the same
    keys is refused.

    Parameters
    ----------
    known : URLs of the files that a store has; these are kept before others, then those of short names.
    """
    by_content: dict[str, SourceFile] = {}
    by_identity: dict[str, SourceFile] = {}
    skipped: list[RefusedFile] = []
    refused: list[RefusedFile] = []
    for file in sorted(files, key=lambda file: (file.url not in known, len(file.url), file.url)):
        if (same := by_content.get(file.fingerprint)) is not None:
            skipped.append(_copy(file.url, same.url))
        elif (other := by_identity.get(file.identity)) is not None:
            refused.append(_conflict(file, other))
        else:
            by_content[file.fingerprint] = by_identity[file.identity] = file
    kept = {file.url for file in by_identity.values()}
    return [file for file in files if file.url in kept], skipped, refused


def _copy(url: str, other: str) -> RefusedFile:
    reason = QuarantineError(
        "The file is a copy of another.",
        where=url,
        got=f"the same spectra as {other}",
        remedy="Nothing to do: each spectrum is scored once.",
        kind=ErrorKind.SUPERSEDED,
    )
    return RefusedFile(url, reason.kind, str(reason))


def _conflict(file: SourceFile, other: SourceFile) -> RefusedFile:
    reason = QuarantineError(
        "Another file of the release holds the same spectra with other values.",
        where=file.url,
        got=f"spectra of {file.identity}, as in {other.url}",
        allowed="one file of the same spectra",
        remedy="Take away the file that is not meant: a key names one spectrum.",
        kind=ErrorKind.CONFLICTING_FILE,
    )
    return RefusedFile(file.url, reason.kind, str(reason))
