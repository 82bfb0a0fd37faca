"""A training in the terminal: a bar per stage, then what came out."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from flows.console import facts
from models.model_card import ModelCard
from models.training.fit import TrainingProgress
from tasks.run_listener import SilentListener


class TrainingBars(SilentListener):
    """Shows a training on a console; a context manager, and a listener of listings and of trainings."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
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

    def listing(self, done: int, files: int) -> None:
        """Files listed."""
        self._progress.update(self._bar("list files"), completed=done, total=files)

    def looked(self, files: int, of: int) -> None:
        """Files looked at for what they hold."""
        self._progress.update(self._bar("choose spectra"), completed=files, total=of)

    def read(self, spectra: int, of: int) -> None:
        """Spectra read and normalised."""
        self._progress.update(self._bar("prepare spectra"), completed=spectra, total=of)

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._console.print(text, soft_wrap=True)

    def epoch(self, state: TrainingProgress) -> None:
        """An epoch is over."""
        loss = f"loss {state.training_loss:.4g}, held out {state.validation_loss:.4g}"
        bar = self._bar(f"fit the {state.stage}")
        self._progress.update(bar, completed=state.epoch, total=state.epochs, loss=loss)

    def _bar(self, title: str) -> TaskID:
        if title not in self._bars:
            self._bars[title] = self._progress.add_task(title, total=None, loss="")
        return self._bars[title]


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
