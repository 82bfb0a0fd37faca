"""The history of a training, epoch by epoch: ``training.json`` and its picture, beside the model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.training.figure import curves_png
from models.atomic_files import write_durably
from models.training.fit import TrainingProgress

HISTORY, PICTURE = "training.json", "training.png"

_DRAWN_EVERY = 10.0
"""Seconds between two pictures: an epoch of a small training is shorter than drawing one."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch; see :class:`models.training.fit.TrainingProgress`. ``seconds`` it took."""

    stage: str
    epoch: int
    training_loss: float
    validation_loss: float
    best: bool
    learning_rate: float
    seconds: float


class TrainingHistory:
    """The epochs of a training so far, those before it was killed included.

    Parameters
    ----------
    directory : of the model.
    identity : of the training; the history of another one is not continued.
    clock : seconds from some moment on.
    """

    def __init__(self, directory: Path, identity: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._identity, self._clock = directory, identity, clock
        self._since = clock()
        self._drawn = -_DRAWN_EVERY
        self.epochs = _read(directory / HISTORY, identity)

    def add(self, state: TrainingProgress) -> None:
        """An epoch is over: what an earlier attempt did from it on is done anew, and forgotten."""
        place = next(
            (
                number
                for number, known in enumerate(self.epochs)
                if known.stage == state.stage and known.epoch >= state.epoch
            ),
            len(self.epochs),
        )
        now = self._clock()
        record = EpochRecord(
            state.stage,
            state.epoch,
            state.training_loss,
            state.validation_loss,
            state.best,
            state.learning_rate,
            round(now - self._since, 3),
        )
        self.epochs = [*self.epochs[:place], record]
        content = {"training": self._identity, "epochs": [asdict(epoch) for epoch in self.epochs]}
        self._directory.mkdir(parents=True, exist_ok=True)
        write_durably(self._directory / HISTORY, (json.dumps(content, indent=1) + "\n").encode())
        if now - self._drawn >= _DRAWN_EVERY:
            self.draw()
            self._drawn = self._clock()
        self._since = self._clock()

    def draw(self) -> None:
        """Draw the picture."""
        write_durably(self._directory / PICTURE, curves_png(self.epochs))


def _read(path: Path, identity: str) -> list[EpochRecord]:
    try:
        content = json.loads(path.read_text())
        if content["training"] != identity:
            return []
        return [EpochRecord(**epoch) for epoch in content["epochs"]]
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return []
