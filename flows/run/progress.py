"""Progress of a run: bars in a terminal, a line now and then where there is none (a batch job's log).

The log, which a terminal shows above the bars, says what went wrong; here it is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress_bar import ProgressBar
from rich.text import Text

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
from flows.console import count, duration

LINE_SECONDS = 30.0
"""Without a terminal: a line after so long ..."""

LINE_SHARE = 0.1
"""... or after so much of a stage, but not more often than ..."""

LEAST_SECONDS = 5.0
"""... so."""


class _Rate(ProgressColumn):
    """Items per second since the stage began."""

    def render(self, task: Task) -> Text:
        elapsed = task.finished_time or task.elapsed or 0.0
        rate = task.completed / elapsed if elapsed > 0 else 0.0
        return Text(f"{rate:,.1f}/s" if task.completed and task.fields.get("rated") else "", style="cyan")


class _Bar(BarColumn):
    """A bar where the end is known."""

    def render(self, task: Task) -> ProgressBar | Text:  # type: ignore[override]
        return super().render(task) if task.total is not None else Text("")


class _Count(ProgressColumn):
    """``12/200`` where the end is known."""

    def render(self, task: Task) -> Text:
        return Text(
            f"{task.completed:,.0f}/{task.total:,.0f}" if task.total is not None else "", style="green"
        )


class _Bars(Progress):
    """Bars, and a line of counts below them that does not widen a column."""

    counts = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.counts:
            yield Text(f"  {self.counts}", style="dim")


class RunProgress:
    """Shows a run on a console; a context manager and an observer.

    Parameters
    ----------
    console : bars where it is a terminal, else lines.
    clock : seconds that go on.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = _Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            _Bar(bar_width=12),
            _Count(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
            get_time=clock,
        )
        self._lines = None if console.is_terminal else _Lines(console, clock)
        self._listing = self._add("list files", rated=True)
        self._waiting = self._add("")
        self._stage = self._waiting
        self._outliers: int | None = None  # until something is scored
        self._retries = self._quarantined = self._workers = self._blocks = 0

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing, leaving the last state."""
        self._wait("")
        self._progress.stop()

    def on_event(self, event: RunEvent) -> None:
        """Draw it."""
        match event:
            case FilesListed(done, files):
                self._progress.update(self._listing, completed=done, total=files, visible=True)
                if self._lines is not None:
                    self._lines.at("list files", done, files, "")
            case Waiting(what):
                self._wait(what)
            case WorkersReady(workers, refused):
                self._workers = workers
                self._quarantined += len(refused)
            case StageBegun():
                self._begin(event)
            case BlockDone(result):
                self._advance(result)
            case BlockFailed():
                self._retries += 1
                self._count()

    def _wait(self, what: str) -> None:
        """A spinner with what is waited for."""
        self._progress.update(self._waiting, description=what, total=None, visible=bool(what))

    def _begin(self, event: StageBegun) -> None:
        """A bar for the stage, and a line of counts below it."""
        self._stage = self._add(STAGE_TITLES[event.stage], rated=True)
        self._progress.update(self._stage, total=event.spectra, visible=event.spectra > 0)
        self._blocks = event.blocks
        if event.stage == "scoring" and self._outliers is None:
            self._outliers = 0
        self._count()

    def _advance(self, result: BlockResult) -> None:
        if self._outliers is not None:
            self._outliers += len(result.outliers)
        self._quarantined += len(result.unreadable)
        self._progress.update(self._stage, advance=result.spectra)
        self._count()

    def _count(self) -> None:
        parts = [] if self._outliers is None else [count(self._outliers, "outlier")]
        if self._workers:
            parts.append(count(self._workers, "worker"))
        parts.append(count(self._blocks, "block"))
        if self._retries:
            parts.append("1 retry" if self._retries == 1 else f"{self._retries:,} retries")
        if self._quarantined:
            parts.append(f"{count(self._quarantined, 'file')} quarantined")
        text = ", ".join(parts)
        self._progress.counts = text
        task = self._task(self._stage)
        if self._lines is not None and task.total:
            self._lines.at(task.description, int(task.completed), int(task.total), text)

    def _task(self, wanted: TaskID) -> Task:
        return next(task for task in self._progress.tasks if task.id == wanted)

    def _add(self, title: str, *, rated: bool = False) -> TaskID:
        return self._progress.add_task(title, total=None, visible=False, rated=rated)


class _Lines:
    """Says now and then how far something is, for logs."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._title = ""
        self._begun = self._printed = clock()
        self._printed_done = 0

    def at(self, title: str, done: int, total: int, note: str) -> None:
        """Print it, if the last line is long enough ago or this is the end."""
        now, share = self._clock(), done / total if total else 1.0
        if title != self._title:
            self._title, self._begun, self._printed, self._printed_done = title, now, now, 0
        since = now - self._printed
        stepped = done - self._printed_done >= LINE_SHARE * total and since >= LEAST_SECONDS
        ended = self._printed_done < total <= done
        if not (ended or stepped or since >= LINE_SECONDS):
            return
        self._printed, self._printed_done = now, done
        elapsed = now - self._begun
        rate = f", {done / elapsed:,.1f}/s" if elapsed > 0 and done else ""
        left = f", {duration(elapsed * (1 - share) / share)} left" if 0 < share < 1 else ""
        notes = f"; {note}" if note else ""
        self._console.print(f"{title}: {done:,}/{total:,}{rate}{left}{notes}", soft_wrap=True)
