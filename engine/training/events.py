"""Events of a training, as its observers see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.observers import Observer
from models.training.fit import TrainingProgress


@dataclass(frozen=True, slots=True)
class FilesSearched:
    """So many of so many files have been searched for spectra to train on."""

    done: int
    files: int


@dataclass(frozen=True, slots=True)
class SpectraRead:
    """So many of so many chosen spectra have been read."""

    done: int
    spectra: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user should know."""

    text: str


@dataclass(frozen=True, slots=True)
class AdaptingStep:
    """A step of adapting begins; ``spectra`` take part in it."""

    title: str
    spectra: int


TrainingEvent = FilesSearched | SpectraRead | Note | AdaptingStep | TrainingProgress
"""The last is the end of an epoch."""

TrainingObservers = Sequence[Observer[TrainingEvent]]
