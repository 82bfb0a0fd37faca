"""Who is told how a training goes: bars, notes, curves, tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from models.training.fit import TrainingProgress


class TrainingListener(Protocol):
    """Called from the training, one call at a time."""

    def looked(self, files: int, of: int) -> None:
        """So many of so many files have been looked at for what they hold."""
        ...

    def read(self, spectra: int, of: int) -> None:
        """So many of so many chosen spectra have been read."""
        ...

    def note(self, text: str) -> None:
        """Something that the user should know."""
        ...

    def epoch(self, state: TrainingProgress) -> None:
        """An epoch is over."""
        ...


class SilentTraining:
    """Tells nobody."""

    def looked(self, files: int, of: int) -> None:
        """Nothing."""

    def read(self, spectra: int, of: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def epoch(self, state: TrainingProgress) -> None:
        """Nothing."""


_current: ContextVar[TrainingListener] = ContextVar("whyspec_training_listener")


@contextmanager
def told_of_training(listener: TrainingListener) -> Iterator[None]:
    """Within it, trainings tell ``listener``. (A Prefect flow's parameters must be plain data.)"""
    token = _current.set(listener)
    try:
        yield
    finally:
        _current.reset(token)


def training_listener() -> TrainingListener:
    """Who listens now."""
    return _current.get(None) or SilentTraining()
