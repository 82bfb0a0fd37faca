"""Progress of a run in the terminal: files, then spectra with rate, outliers and time left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
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

from engine.blocks import AttributionBlock, BlockResult, ScoreBlock
from models.errors import WhyspecError
from tasks.run_listener import STAGE_TITLES, Stage


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


class RunProgress:
    """Shows a run on a console; a context manager and a :class:`tasks.run_listener.RunListener`."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            _Bar(bar_width=30),
            _Count(),
            _Rate(),
            TextColumn("{task.fields[note]}", style="yellow"),
            TimeRemainingColumn(compact=True),
            console=console,
            # A log file is not a terminal: there only the notes appear.
            disable=not console.is_terminal,
        )
        self._console = console
        self._listing = self._add("list files", rated=True)
        self._waiting = self._add("")
        self._stage = self._waiting
        self._outliers = 0
        self._scoring = False

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing, leaving the last state."""
        self.waiting("")
        self._progress.stop()

    def listing(self, done: int, files: int) -> None:
        """Files looked at."""
        self._progress.update(self._listing, completed=done, total=files, visible=True)

    def waiting(self, what: str) -> None:
        """A spinner with what is waited for."""
        self._progress.update(self._waiting, description=what, total=None, visible=bool(what))

    def stage(self, name: Stage, blocks: int, spectra: int) -> None:
        """A bar for the stage."""
        self._scoring = name == "scoring"
        self._stage = self._add(STAGE_TITLES[name], rated=True)
        self._progress.update(self._stage, total=spectra, visible=spectra > 0, note=f"{blocks} blocks")

    def finished(self, result: BlockResult) -> None:
        """Advance the bar."""
        self._outliers += len(result.outliers)
        note = f"{self._outliers:,} outliers" if self._scoring else ""
        self._progress.update(self._stage, advance=result.spectra, note=note)
        for file in result.unreadable:
            self._console.print(f"set aside: {file.url} ({file.kind})", style="yellow")

    def retrying(self, block: ScoreBlock | AttributionBlock, error: WhyspecError) -> None:
        """Say why a block is run again."""
        self._console.print(
            f"{block.kind} block {block.index} will be tried again: {error.what}", style="yellow"
        )

    def _add(self, title: str, *, rated: bool = False) -> TaskID:
        return self._progress.add_task(title, total=None, visible=False, note="", rated=rated)
