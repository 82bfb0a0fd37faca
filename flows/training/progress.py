"""A training in the terminal: a bar per stage, then the card of the model."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from engine.run.events import FilesListed
from engine.training.events import AdaptingStep, FilesSearched, Note, SpectraRead, TrainingEvent
from flows.console import facts
from models.model_card import ModelCard
from models.training.fit import TrainingProgress


class TrainingBars:
    """Shows a training on a console; a context manager and an observer."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing, leaving the last state."""
        self._progress.stop()

    def on_event(self, event: FilesListed | TrainingEvent) -> None:
        """Draw it."""
        match event:
            case FilesListed(done, files):
                self._draw("list files", done, files)
            case FilesSearched(done, files):
                self._draw("choose spectra", done, files)
            case SpectraRead(done, spectra):
                self._draw("prepare spectra", done, spectra)
            case Note(text):
                self._console.print(text, soft_wrap=True)
            case AdaptingStep(title, spectra):
                self._begin(title, spectra)
            case TrainingProgress():
                loss = f"loss {event.training_loss:.4g}, held out {event.validation_loss:.4g}"
                self._draw(f"fit the {event.stage}", event.epoch, event.epochs, loss)

    def _begin(self, title: str, spectra: int) -> None:
        """What was begun before is done."""
        for bar in self._bars.values():
            self._progress.update(bar, completed=self._progress.tasks[bar].total or 0)
        self._draw(title, 0, spectra)

    def _draw(self, title: str, done: int, total: int, loss: str = "") -> None:
        if title not in self._bars:
            self._bars[title] = self._progress.add_task(title, total=None, loss="")
        self._progress.update(self._bars[title], completed=done, total=total, loss=loss)


def show_card(console: Console, card: ModelCard, directory: Path) -> None:
    """Print what a model is and how well it does on spectra that it was not trained on."""
    console.print(
        facts(
            f"Model {card.name}",
            [
                ("directory", str(directory)),
                ("digest", card.digest),
                ("classes", ", ".join(card.classes) or "all"),
                ("redshifts", f"{card.redshift_min:.4f} to {card.redshift_max:.4f}"),
                ("normalised at", f"{card.normalisation_min:.0f} to {card.normalisation_max:.0f} Å at rest"),
                *((name.replace("_", " "), f"{value:.4g}") for name, value in card.metrics.items()),
            ],
        )
    )
