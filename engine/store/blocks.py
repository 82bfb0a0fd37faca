"""Blocks: the unit of work, of retry and of commit. A block is one shard of every array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.spectra.source_file import RefusedFile, SourceFile

BlockKind = Literal["score", "attribution"]


@dataclass(frozen=True, slots=True)
class SourceSlice:
    """Rows ``start`` to ``stop`` (exclusive) of one source file."""

    file: SourceFile
    start: int
    stop: int

    @property
    def spectra(self) -> int:
        """Number of spectra in the slice."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class ScoreBlock:
    """Consecutive store rows ``[index * capacity, (index + 1) * capacity)`` and what fills them.

    The slices' spectra fill the rows in order; rows after the last are padding.
    """

    index: int
    capacity: int
    plan: str
    slices: tuple[SourceSlice, ...]

    kind: BlockKind = "score"

    @property
    def first_row(self) -> int:
        """Store row of the first spectrum."""
        return self.index * self.capacity

    @property
    def spectra(self) -> int:
        """Number of spectra, at most ``capacity``."""
        return sum(part.spectra for part in self.slices)


@dataclass(frozen=True, slots=True)
class AttributionBlock:
    """Consecutive outlier rows and the store rows of the spectra that they explain, ascending."""

    index: int
    capacity: int
    plan: str
    rows: tuple[int, ...]

    kind: BlockKind = "attribution"

    @property
    def first_row(self) -> int:
        """Outlier row of the first explanation."""
        return self.index * self.capacity

    @property
    def spectra(self) -> int:
        """Number of explanations, at most ``capacity``."""
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """One object of the store as it was written: path relative to the store, size, blake2b digest."""

    path: str
    bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Counts of the spectra of one class in a block.

    Attributes
    ----------
    spectype : the class, as the survey's pipeline names it.
    model : place of its model in the run's configuration; -1 if the run has none for it.
    spectra : spectra of the class that the reader found good.
    scored : of these, those that were.
    redshift_outside : of these, those refused for a redshift outside the model's range.
    snr_outside : of the scored, those whose S/N is outside the range that the model was calibrated on.
    """

    spectype: str
    model: int
    spectra: int
    scored: int
    redshift_outside: int
    snr_outside: int


@dataclass(frozen=True, slots=True)
class BlockResult:
    """The receipt of a finished block: for the coordinator now, and for the ledger for ever.

    Attributes
    ----------
    kind, index, plan : which block of which plan.
    spectra : rows with a spectrum (the others are padding).
    status_counts : (RowStatus label, count) for every status that occurs, sorted by label.
    outliers : store rows at or below the threshold, ascending (score blocks).
    unreadable : files that could not be read; the status of their rows says so.
    objects : every object that the block wrote, sorted by path.
    classes : counts of each class, sorted by name (score blocks).
    caution_counts : (Caution label, explanations) for every caution that occurs, sorted by
        label (attribution blocks).
    remark_counts : (ExposureRemark label, spectra) for every remark that occurs, sorted by label (score
        blocks).
    """

    kind: BlockKind
    index: int
    plan: str
    spectra: int
    status_counts: tuple[tuple[str, int], ...]
    outliers: tuple[int, ...]
    unreadable: tuple[RefusedFile, ...]
    objects: tuple[WrittenObject, ...]
    classes: tuple[ClassCount, ...] = ()
    caution_counts: tuple[tuple[str, int], ...] = ()
    remark_counts: tuple[tuple[str, int], ...] = ()
