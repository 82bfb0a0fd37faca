"""Versions of files in a store: the rows of each, and which of them newer rows replace."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.spectra.source_file import SourceFile
from engine.store.blocks import BlockResult
from engine.store.entries import FlaggedRows, joined_rows, within
from engine.store.saved_plans import ScorePlan

VersionState = Literal["unfinished", "readable", "unreadable"]


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of a file as a plan gave it rows ``[start, stop)``.

    ``state`` is unfinished while a block of it is not committed, unreadable if a block could not
    read it.
    """

    file: SourceFile
    start: int
    stop: int
    state: VersionState

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the file's content."""
        return self.file.fingerprint


def versions_of_plan(plan: ScorePlan, results: Mapping[int, BlockResult]) -> list[FileVersion]:
    """The plan's files with their rows and states."""
    versions = []
    for file, start in zip(plan.files, plan.first_rows, strict=True):
        stop = start + file.spectra
        blocks = range(start // plan.capacity, -(-stop // plan.capacity)) if file.spectra else range(0)
        state: VersionState = "readable"
        if any(block not in results for block in blocks):
            state = "unfinished"
        elif any(
            refused.url in (file.url, file.redshift_url)
            for block in blocks
            for refused in results[block].unreadable
        ):
            state = "unreadable"
        versions.append(FileVersion(file, start, stop, state))
    return versions


def versions_by_identity(
    plans: Iterable[ScorePlan], results: Mapping[int, BlockResult]
) -> dict[str, list[FileVersion]]:
    """All versions of the same spectra, oldest first, wherever their file lay."""
    versions: dict[str, list[FileVersion]] = {}
    for plan in plans:
        for version in versions_of_plan(plan, results):
            versions.setdefault(version.file.identity, []).append(version)
    return versions


def replaced(versions: list[FileVersion]) -> list[FileVersion]:
    """The versions of the same spectra whose rows newer rows replace.

    A newer version replaces an older one once all blocks of both are committed: a readable one any
    other, an unreadable one only unreadable ones. So a file that cannot be read any more keeps the
    rows of its last good version.
    """
    return [
        older
        for index, older in enumerate(versions)
        if older.state != "unfinished"
        and any(
            newer.state == "readable" or newer.state == older.state == "unreadable"
            for newer in versions[index + 1 :]
        )
    ]


def rows_to_mark(
    versions: Mapping[str, list[FileVersion]], marked: Mapping[int, FlaggedRows]
) -> NDArray[np.int64]:
    """Store rows, ascending, that newer rows replace and that are not marked superseded yet."""
    parts = [np.arange(old.start, old.stop) for each in versions.values() for old in replaced(each)]
    # No row is of two versions. (np.setdiff1d finds that out by hashing, a second per million rows.)
    rows = np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
    return rows[~np.isin(rows, joined_rows(marked.values()))]


def rows_of_vanished(
    versions: Mapping[str, list[FileVersion]],
    gone: Collection[str],
    there: Collection[str],
    marked: Mapping[int, FlaggedRows],
) -> NDArray[np.int64]:
    """Store rows, ascending, of files that are not in their release any more.

    Rows that newer rows replace and rows that are not committed are left out.

    Parameters
    ----------
    gone, there : identities of files that have vanished, and that are there (again).
    marked : rows that were flagged as gone before; of files that are in neither they stay so.
    """
    current = [
        np.arange(version.start, version.stop)
        for identity in gone
        for version in versions.get(identity, ())
        if version.state != "unfinished" and version not in replaced(versions[identity])
    ]
    listed = [version for identity in (*gone, *there) for version in versions.get(identity, ())]
    before = joined_rows(marked.values())
    return np.sort(np.concatenate([before[~_are_of(listed, before)], *current]))


def _are_of(versions: list[FileVersion], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each row is one of a version's."""
    return within(rows, sorted((each.start, each.stop) for each in versions if each.start < each.stop))
