"""First bytes of many files, asked for together: so a listing of tens of thousands is quick."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from engine.files.byte_source import is_local, local_path, open_regular_file
from engine.files.file_systems import ATTEMPTS, FIRST_PAUSE, fault_of, open_file_system
from engine.files.retries import growing_pauses, with_retries
from models.errors import QuarantineError

BATCH = 512
"""Files that are asked for together; their answers are in memory at the same time."""


def first_bytes(urls: Sequence[str], length: int) -> Iterator[bytes | Exception]:
    """The first ``length`` bytes of each file, or why there are none, in the order asked.

    Files on a disk are read one by one. Others are on one file system: their requests are made together,
    and those whose fault may pass are made again.
    """
    if not urls:
        return
    if is_local(urls[0]):
        for url in urls:
            yield _read_local(url, length)
        return
    filesystem, _ = open_file_system(urls[0])
    for start in range(0, len(urls), BATCH):
        yield from _read_remote(filesystem, urls[start : start + BATCH], length)


def _read_local(url: str, length: int) -> bytes | Exception:
    try:
        descriptor = open_regular_file(local_path(url))
        try:
            return os.read(descriptor, length)
        finally:
            os.close(descriptor)
    except (OSError, QuarantineError) as error:
        return error


def _read_remote(filesystem: Any, urls: Sequence[str], length: int) -> list[bytes | Exception]:
    paths = [str(filesystem._strip_protocol(url)) for url in urls]
    answers: list[bytes | Exception] = [_UnansweredError()] * len(urls)

    def ask() -> None:
        """Ask for the files without an answer that lasts."""
        places = [place for place, answer in enumerate(answers) if _may_pass(answer)]
        asked = [paths[place] for place in places]
        found = filesystem.cat_ranges(asked, [0] * len(asked), [length] * len(asked), on_error="return")
        for place, answer in zip(places, found, strict=True):
            # A server without range support sends the whole file.
            answers[place] = answer if isinstance(answer, Exception) else bytes(answer[:length])
        if any(map(_may_pass, answers)):
            raise _UnansweredError

    with contextlib.suppress(_UnansweredError):  # the faults that did not pass are among the answers
        with_retries(
            ask,
            growing_pauses(FIRST_PAUSE, ATTEMPTS - 1),
            retry_on=lambda error: isinstance(error, _UnansweredError),
        )
    return answers


class _UnansweredError(OSError):
    """Some files of a batch have no answer that lasts."""


def _may_pass(answer: bytes | Exception) -> bool:
    return isinstance(answer, Exception) and fault_of(answer) == "passing"
