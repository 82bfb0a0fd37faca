"""Inspection of the files of a listing: as little is read as their published checksums allow."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from engine.files.many_reads import first_bytes
from engine.files.retries import growing_pauses, with_retries
from engine.spectra.source_file import RefusedFile, SourceFile
from engine.surveys.fingerprint import PublishedChecksums, published_fingerprint
from engine.surveys.layout import Candidate
from engine.surveys.reading import inspect
from engine.surveys.survey import FirstBytes
from engine.surveys.surveys import SURVEYS
from models.errors import QuarantineError, RetryError

Progress = Callable[[int, int], None]
"""Called with the number of files looked at so far, and of all files."""

Answer = SourceFile | RefusedFile

_THREADS = 8
_CHUNK = 16  # files that a thread takes at once: to hand over each by itself costs as much as to look at it
_ATTEMPTS = 3
_FIRST_PAUSE = 0.5  # seconds


def inspect_all(
    candidates: Sequence[Candidate],
    published: PublishedChecksums,
    known: Mapping[str, SourceFile],
    progress: Progress | None,
) -> tuple[list[SourceFile], list[RefusedFile]]:
    """Describe files, or say why they are refused; both in the order given.

    A file whose published checksums are those of the file known by its URL is not opened. Of one whose
    checksums are published the first bytes are read, if its survey is known by them, of all others every
    header.
    """
    answers: dict[int, Answer] = {}
    with_sums: dict[FirstBytes, list[tuple[int, tuple[str, ...]]]] = {}
    others: list[int] = []

    def answered(place: int, answer: Answer) -> None:
        answers[place] = answer
        if progress is not None:
            progress(len(answers), len(candidates))

    for place, candidate in enumerate(candidates):
        try:
            sums = _sums(candidate, published)
        except (QuarantineError, RetryError) as error:
            answered(place, _refused(candidate, error))
            continue
        before = known.get(candidate.url)
        if before is not None and sums and _is_unchanged(before, candidate, sums):
            answered(place, before)
        elif sums and (first := _first_bytes_of(candidate)) is not None:
            with_sums.setdefault(first, []).append((place, sums))
        else:
            others.append(place)
    for first, places in with_sums.items():
        heads = first_bytes([candidates[place].url for place, _ in places], first.size)
        for (place, sums), head in zip(places, heads, strict=True):
            described = None if isinstance(head, Exception) else first.describe(candidates[place], head, sums)
            if described is None:
                others.append(place)
            else:
                answered(place, described)
    # Threads because this waits: for a disk's seeks, or for an answer to each range request.
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="listing") as pool:
        chunks = [others[start : start + _CHUNK] for start in range(0, len(others), _CHUNK)]
        each = pool.map(lambda chunk: [_inspect(candidates[place], published) for place in chunk], chunks)
        for place, answer in zip(others, itertools.chain.from_iterable(each), strict=True):
            answered(place, answer)
    return _sorted(answers[place] for place in range(len(candidates)))


def _sums(candidate: Candidate, published: PublishedChecksums) -> tuple[str, ...]:
    """Published SHA-256 of a candidate's files; empty unless every file has one."""
    urls = [candidate.url, candidate.redshift_url] if candidate.redshift_url else [candidate.url]
    sums = tuple(published.of(url) for url in urls)
    return sums if all(sums) else ()


def _first_bytes_of(candidate: Candidate) -> FirstBytes | None:
    """How the survey that names its files so describes them from their first bytes."""
    found = (survey.first_bytes for survey in SURVEYS if survey.is_spectra_file(candidate.url))
    return next(found, None)


def _is_unchanged(before: SourceFile, candidate: Candidate, sums: Sequence[str]) -> bool:
    identity = (before.specprod, before.survey, before.program)
    return before.redshift_url == candidate.redshift_url and (
        before.fingerprint == published_fingerprint(sums, identity)
    )


def _inspect(candidate: Candidate, published: PublishedChecksums) -> Answer:
    try:
        return with_retries(
            lambda: inspect(candidate.url, candidate.redshift_url, published),
            growing_pauses(_FIRST_PAUSE, _ATTEMPTS - 1),
        )
    except (QuarantineError, RetryError) as error:
        return _refused(candidate, error)


def _refused(candidate: Candidate, error: QuarantineError | RetryError) -> RefusedFile:
    kind = error.kind if isinstance(error, QuarantineError) else RetryError.default_kind
    return RefusedFile(candidate.url, kind, str(error))


def _sorted(answers: Iterable[Answer]) -> tuple[list[SourceFile], list[RefusedFile]]:
    files: list[SourceFile] = []
    refused: list[RefusedFile] = []
    for answer in answers:
        if isinstance(answer, SourceFile):
            files.append(answer)
        else:
            refused.append(answer)
    return files, refused
