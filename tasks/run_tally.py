"""How far a run is, counted from what its listener is told; its lock shows it to other processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from engine.spectra.source_file import RefusedFile
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.run_state import RunState
from models.errors import WhyspecError
from tasks.run_listener import STAGE_TITLES, Stage


class RunTally:
    """A :class:`tasks.run_listener.RunListener` that counts; :meth:`state` may be asked from any thread."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._state = RunState()
        self._waiting = ""
        self._begun = time.monotonic()

    def state(self) -> RunState:
        """How far the run is now."""
        with self._mutex:
            elapsed = time.monotonic() - self._begun
            speed = self._state.spectra_done / elapsed if elapsed > 0 else 0.0
            stage = self._waiting or self._state.stage
            return replace(self._state, stage=stage, spectra_per_second=round(speed, 2))

    def listing(self, done: int, files: int) -> None:
        """Count files."""
        with self._mutex:
            self._state = replace(self._state, stage="list files", files_listed=done, files=files)

    def waiting(self, what: str) -> None:
        """Keep what is waited for."""
        with self._mutex:
            self._waiting = what

    def ready(self, workers: int, refused: Sequence[RefusedFile]) -> None:  # noqa: ARG002
        """Count the files that were refused when they were listed."""
        with self._mutex:
            self._state = replace(self._state, quarantined=self._state.quarantined + len(refused))

    def stage(self, name: Stage, blocks: int, spectra: int) -> None:
        """Count anew what belongs to a stage."""
        with self._mutex:
            self._begun = time.monotonic()
            self._state = replace(
                self._state,
                stage=STAGE_TITLES[name],
                blocks_done=0,
                blocks=blocks,
                spectra_done=0,
                spectra=spectra,
            )

    def finished(self, result: BlockResult) -> None:
        """Count a block."""
        with self._mutex:
            state = self._state
            explained = result.spectra if result.kind == "attribution" else 0
            self._state = replace(
                state,
                blocks_done=state.blocks_done + 1,
                spectra_done=state.spectra_done + result.spectra,
                outliers=state.outliers + len(result.outliers),
                explained=state.explained + explained,
                quarantined=state.quarantined + len(result.unreadable),
            )

    def retrying(self, block: ScoreBlock | AttributionBlock, error: WhyspecError) -> None:  # noqa: ARG002
        """Count a retry."""
        with self._mutex:
            self._state = replace(self._state, retries=self._state.retries + 1)
