"""Several who are told how a run goes, as one."""

from __future__ import annotations

from collections.abc import Sequence

from engine.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.source_file import RefusedFile
from models.errors import WhyspecError
from tasks.run_listener import RunListener, Stage


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
