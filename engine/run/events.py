"""Events of a run, as its observers see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.spectra.source_file import RefusedFile
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import RetryError
from models.observers import Observer

Stage = Literal["scoring", "explaining"]
STAGE_TITLES: dict[Stage, str] = {"scoring": "score spectra", "explaining": "explain outliers"}
"""What a stage does, for people."""


@dataclass(frozen=True, slots=True)
class FilesListed:
    """So many of so many files of the release have been looked at."""

    done: int
    files: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run waits for something that takes seconds; ``what`` is empty when it goes on."""

    what: str


@dataclass(frozen=True, slots=True)
class WorkersReady:
    """So many workers are ready; ``refused`` are the files that the listing refused."""

    workers: int
    refused: tuple[RefusedFile, ...]


@dataclass(frozen=True, slots=True)
class StageBegun:
    """A stage hands its first blocks to the workers, of so many blocks and spectra."""

    stage: Stage
    blocks: int
    spectra: int


@dataclass(frozen=True, slots=True)
class BlockDone:
    """A block is done and in the ledger."""

    result: BlockResult


@dataclass(frozen=True, slots=True)
class BlockFailed:
    """A block failed in a way that may pass; it is run again while the retries last."""

    block: ScoreBlock | AttributionBlock
    error: RetryError


RunEvent = FilesListed | Waiting | WorkersReady | StageBegun | BlockDone | BlockFailed

RunObservers = Sequence[Observer[RunEvent]]
"""Who watches a run; events come from several threads, but one at a time."""
