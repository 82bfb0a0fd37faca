"""The view of a run: what it counts, that it fits 80 columns, and that a log without terminal shows life."""

from __future__ import annotations

import io
import re

from rich.console import Console

from engine.run.events import BlockDone, BlockFailed, FilesListed, StageBegun, WorkersReady
from engine.spectra.source_file import RefusedFile
from engine.store.blocks import AttributionBlock, BlockResult
from flows.run.progress import RunProgress
from models.errors import RetryError


class Clock:
    """Seconds that go on by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def result(index: int, spectra: int, outliers: int, unreadable: int = 0) -> BlockResult:
    files = tuple(RefusedFile(f"{index}-{n}.fits", "truncated-file", "cut off") for n in range(unreadable))
    return BlockResult("score", index, "plan", spectra, (), tuple(range(outliers)), files, ())


def retried(progress: RunProgress) -> None:
    block = AttributionBlock(0, 4, "plan", (1,))
    progress.on_event(BlockFailed(block, RetryError("The store did not answer.")))


def run(progress: RunProgress, clock: Clock, blocks: int, seconds: float) -> None:
    """A run of so many blocks of a hundred spectra, each of so many seconds."""
    progress.on_event(FilesListed(32_000, 32_000))
    progress.on_event(WorkersReady(4, (RefusedFile("gone.fits", "missing-file", "not there"),)))
    progress.on_event(StageBegun("scoring", blocks, 100 * blocks))
    for index in range(blocks):
        clock.now += seconds
        progress.on_event(BlockDone(result(index, 100, 3, unreadable=int(index == 1))))
        if index == 2:
            retried(progress)


def test_a_terminal_of_80_columns_shows_everything_on_two_lines() -> None:
    clock, stream = Clock(), io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, height=24, color_system=None)
    with RunProgress(console, clock) as progress:
        run(progress, clock, blocks=4, seconds=2.0)
        progress.on_event(StageBegun("explaining", 250, 25_000_000))
        for _ in range(2):
            clock.now += 1.5
            progress.on_event(BlockDone(result(0, 600_000, 0)))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    frame = [line.strip() for line in shown.replace("\r", "\n").split("\n") if line.strip()][-4:]
    assert re.fullmatch(r"\S* ?list files +\S+ +32,000/32,000 .*", frame[0])
    assert re.fullmatch(r"\S* ?score spectra +\S+ +400/400 +50.0/s .*", frame[1])
    assert re.fullmatch(r"\S* ?explain outliers +\S+ +1,200,000/25,000,000 +400,000\.0/s +01:00", frame[2])
    assert frame[3].endswith("12 outliers, 4 workers, 250 blocks, 1 retry, 2 files quarantined")
    assert max(map(len, frame)) <= 80


def lines(blocks: int, seconds: float) -> list[str]:
    clock, stream = Clock(), io.StringIO()
    with RunProgress(Console(file=stream, width=80), clock) as progress:
        run(progress, clock, blocks, seconds)
    return stream.getvalue().splitlines()


def test_a_log_gets_a_line_every_tenth_of_a_stage() -> None:
    lines_shown = lines(blocks=20, seconds=10.0)
    assert lines_shown[0] == "list files: 32,000/32,000"
    assert len(lines_shown) == 1 + 10
    assert lines_shown[1] == (
        "score spectra: 200/2,000, 10.0/s, 3 min 0 s left; "
        "6 outliers, 4 workers, 20 blocks, 2 files quarantined"
    )
    assert lines_shown[-1] == (
        "score spectra: 2,000/2,000, 10.0/s; 60 outliers, 4 workers, 20 blocks, 1 retry, 2 files quarantined"
    )


def test_a_long_run_says_something_every_half_minute() -> None:
    lines_shown = lines(blocks=1000, seconds=15.0)
    # Tenths are further apart than 30 s: a line after every second block.
    assert len(lines_shown) == 1 + 500


def test_a_short_run_is_told_once() -> None:
    assert len(lines(blocks=40, seconds=0.1)) == 1 + 1
