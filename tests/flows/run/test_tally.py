"""How far a run is, counted from the events that every observer sees."""

from __future__ import annotations

import time
from dataclasses import replace

from engine.run.events import BlockDone, BlockFailed, FilesListed, RunEvent, StageBegun, Waiting
from engine.spectra.source_file import RefusedFile
from engine.store.blocks import BlockResult, ScoreBlock
from engine.store.run_state import RunState
from flows.run.tally import RunTally
from models.errors import RetryError
from models.observers import report

SCORED = BlockResult("score", 0, "p", 8, (("scored", 8),), (1, 5), (RefusedFile("f", "k", "r"),), ())
EXPLAINED = BlockResult("attribution", 0, "p", 2, (("scored", 2),), (), (), ())


def test_a_run_from_the_listing_to_the_last_explanation() -> None:
    first, second = RunTally(), RunTally()

    def happens(event: RunEvent) -> None:
        report((first, second), event)

    assert first.state().stage == "get ready"
    happens(FilesListed(3, 7))
    assert replace(first.state(), spectra_per_second=0.0) == RunState("list files", 3, 7)
    happens(Waiting("start Ray"))
    assert first.state().stage == "start Ray"
    happens(Waiting(""))
    happens(FilesListed(7, 7))
    assert first.state().stage == "plan blocks"
    happens(StageBegun("scoring", 3, 20))
    happens(BlockFailed(ScoreBlock(0, 8, "p", ()), RetryError("It did not answer.")))
    time.sleep(0.01)
    happens(BlockDone(SCORED))
    state = second.state()
    assert (state.stage, state.blocks_done, state.blocks) == ("score spectra", 1, 3)
    assert (state.spectra_done, state.spectra, state.outliers) == (8, 20, 2)
    assert (state.retries, state.quarantined) == (1, 1)
    assert state.spectra_per_second > 0
    assert abs(state.seconds_left - 12 / state.spectra_per_second) < 1e-9
    happens(StageBegun("explaining", 1, 2))
    assert first.state().seconds_left is None
    happens(BlockDone(EXPLAINED))
    state = first.state()
    assert (state.stage, state.outliers, state.explained) == ("explain outliers", 2, 2)
    assert RunState(**state.to_dict()) == state
