"""Who is told how a run goes: progress bars, logs, tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

from engine.spectra.source_file import RefusedFile
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import WhyspecError

Stage = Literal["scoring", "explaining"]
STAGE_TITLES: dict[Stage, str] = {"scoring": "score spectra", "explaining": "explain outliers"}
"""What a stage does, for people."""


class RunListener(Protocol):
    """Called from the threads of a run, one call at a time."""

    def listing(self, done: int, files: int) -> None:
        """So many of so many files have been looked at."""
        ...

    def waiting(self, what: str) -> None:
        """The run waits for something that takes seconds; empty when it goes on."""
        ...

    def ready(self, workers: int, refused: Sequence[RefusedFile]) -> None:
        """The plan is made, so many workers are ready; these files were refused when they were listed."""
        ...

    def stage(self, name: Stage, blocks: int, spectra: int) -> None:
        """A stage begins that has so many blocks and spectra to do."""
        ...

    def finished(self, result: BlockResult) -> None:
        """A block is done and in the ledger."""
        ...

    def retrying(self, block: ScoreBlock | AttributionBlock, error: WhyspecError) -> None:
        """A block failed in passing and will be run again."""
        ...


class SilentListener:
    """Tells nobody."""

    def listing(self, done: int, files: int) -> None:
        """Nothing."""

    def waiting(self, what: str) -> None:
        """Nothing."""

    def ready(self, workers: int, refused: Sequence[RefusedFile]) -> None:
        """Nothing."""

    def stage(self, name: Stage, blocks: int, spectra: int) -> None:
        """Nothing."""

    def finished(self, result: BlockResult) -> None:
        """Nothing."""

    def retrying(self, block: ScoreBlock | AttributionBlock, error: WhyspecError) -> None:
        """Nothing."""


_current: ContextVar[RunListener] = ContextVar("whyspec_run_listener")


@contextmanager
def listening(listener: RunListener) -> Iterator[None]:
    """Within it, runs tell ``listener``. (A Prefect flow's parameters must be plain data.)"""
    token = _current.set(listener)
    try:
        yield
    finally:
        _current.reset(token)


def current_listener() -> RunListener:
    """Who listens now."""
    return _current.get(None) or SilentListener()


class ListenerGroup:
    """Passes everything on to each of its listeners, in their order."""

    def __init__(self, *listeners: RunListener) -> None:
        self._listeners = listeners

    def listing(self, done: int, files: int) -> None:
        """To all."""
        for listener in self._listeners:
            listener.listing(done, files)

    def waiting(self, what: str) -> None:
        """To all."""
        for listener in self._listeners:
            listener.waiting(what)

    def ready(self, workers: int, refused: Sequence[RefusedFile]) -> None:
        """To all."""
        for listener in self._listeners:
            listener.ready(workers, refused)

    def stage(self, name: Stage, blocks: int, spectra: int) -> None:
        """To all."""
        for listener in self._listeners:
            listener.stage(name, blocks, spectra)

    def finished(self, result: BlockResult) -> None:
        """To all."""
        for listener in self._listeners:
            listener.finished(result)

    def retrying(self, block: ScoreBlock | AttributionBlock, error: WhyspecError) -> None:
        """To all."""
        for listener in self._listeners:
            listener.retrying(block, error)
