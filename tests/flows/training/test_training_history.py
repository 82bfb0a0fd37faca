"""The history of a training: every epoch once, whatever happened in between."""

from __future__ import annotations

import json
from pathlib import Path

from flows.training.history import HISTORY, PICTURE, TrainingHistory
from models.training.fit import TrainingProgress


def epoch(number: int, stage: str = "autoencoder", loss: float = 1.0) -> TrainingProgress:
    return TrainingProgress(stage, number, 5, loss, loss, best=True, learning_rate=1e-3)


def told(directory: Path) -> list[tuple[str, int, float]]:
    content = json.loads((directory / HISTORY).read_text())
    return [(each["stage"], each["epoch"], each["training_loss"]) for each in content["epochs"]]


def test_a_training_that_continues_adds_to_its_history(tmp_path: Path) -> None:
    history = TrainingHistory(tmp_path, "a", clock=iter(range(0, 100, 2)).__next__)
    for number in (1, 2, 3):
        history.add(epoch(number, loss=4.0 - number))
    assert (tmp_path / PICTURE).read_bytes().startswith(b"\x89PNG")
    # Killed after its third epoch was told and before the checkpoint of it: the third is done again.
    history = TrainingHistory(tmp_path, "a")
    history.add(epoch(3, loss=0.5))
    history.add(epoch(1, "density"))
    history.add(epoch(2, "density"))
    expected = [("autoencoder", 1, 3.0), ("autoencoder", 2, 2.0), ("autoencoder", 3, 0.5)]
    assert told(tmp_path) == [*expected, ("density", 1, 1.0), ("density", 2, 1.0)]
    # And a density that is fitted anew.
    TrainingHistory(tmp_path, "a").add(epoch(1, "density", 9.0))
    assert told(tmp_path) == [*expected, ("density", 1, 9.0)]
    content = json.loads((tmp_path / HISTORY).read_text())
    assert all(each["seconds"] > 0 for each in content["epochs"][:2])


def test_another_training_has_a_history_of_its_own(tmp_path: Path) -> None:
    TrainingHistory(tmp_path, "a").add(epoch(1))
    TrainingHistory(tmp_path, "b").add(epoch(1, loss=7.0))
    assert told(tmp_path) == [("autoencoder", 1, 7.0)]
    (tmp_path / HISTORY).write_text("{")
    TrainingHistory(tmp_path, "b").add(epoch(2))
    assert told(tmp_path) == [("autoencoder", 2, 1.0)]
