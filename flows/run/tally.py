"""The tally of a run: how far it is. Its lock shows it to other processes."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from engine.run.events import (
    STAGE_TITLES,
    BlockDone,
    BlockFailed,
    FilesListed,
    RunEvent,
    StageBegun,
    Waiting,
    WorkersReady,
)
from engine.store.blocks import BlockResult
from engine.store.run_state import RunState


class RunTally:
    """An observer that counts; :meth:`state` may be asked from any thread."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._state = RunState(stage="get ready")
        self._waiting = ""
        self._begun = time.monotonic()

    def state(self) -> RunState:
        """How far the run is now."""
        with self._mutex:
            elapsed = time.monotonic() - self._begun
            speed = self._state.spectra_done / elapsed if elapsed > 0 else 0.0
            stage = self._waiting or self._state.stage
            return replace(self._state, stage=stage, spectra_per_second=round(speed, 2))

    def on_event(self, event: RunEvent) -> None:
        """Count it."""
        with self._mutex:
            state = self._state
            match event:
                case FilesListed(done, files):
                    stage = "list files" if done < files else "plan blocks"
                    self._state = replace(state, stage=stage, files_listed=done, files=files)
                case Waiting(what):
                    self._waiting = what
                case WorkersReady(_, refused):
                    self._state = replace(state, quarantined=state.quarantined + len(refused))
                case StageBegun():
                    self._begun = time.monotonic()
                    self._state = _begun(state, event)
                case BlockDone(result):
                    self._state = _counted(state, result)
                case BlockFailed():
                    self._state = replace(state, retries=state.retries + 1)


def _begun(state: RunState, event: StageBegun) -> RunState:
    """What belongs to a stage is counted anew."""
    return replace(
        state,
        stage=STAGE_TITLES[event.stage],
        blocks_done=0,
        blocks=event.blocks,
        spectra_done=0,
        spectra=event.spectra,
    )


def _counted(state: RunState, result: BlockResult) -> RunState:
    return replace(
        state,
        blocks_done=state.blocks_done + 1,
        spectra_done=state.spectra_done + result.spectra,
        outliers=state.outliers + len(result.outliers),
        explained=state.explained + (result.spectra if result.kind == "attribution" else 0),
        quarantined=state.quarantined + len(result.unreadable),
    )
