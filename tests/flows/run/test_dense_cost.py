"""What a run says before explanations that take hours."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from engine.attribution.occlusion.settings import OcclusionSettings, of_preset
from flows.run import dense_cost
from flows.run.dense_cost import estimated_passes, warn_of_dense_cost
from models.scoring.scoring_model import ScoringModel
from models.spender.files import read_spender_file
from models.spender.importing import import_spender
from models.spender.model import SpenderModel
from models.weights import load_model, save_model
from tests.models.spender.spender_made import made_files


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("spender")
    model = import_spender([read_spender_file(path) for path in made_files(directory)], "imported", ())
    save_model(model, directory / "model")
    return directory / "model"


def test_the_papers_windows_take_an_hour(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = load_model(str(directory))
    assert isinstance(model, SpenderModel)
    estimate = estimated_passes(model, of_preset("paper"))
    assert estimate is not None
    # Every centre of six widths and the baseline itself, for eight baselines.
    assert estimate.passes == 8 * (1 + 6 * 7781)
    tiled = estimated_passes(model, of_preset("reference-code", windows=(1024,), baselines=1))
    assert tiled is not None
    assert tiled.passes < 12
    with caplog.at_level(logging.WARNING):
        warn_of_dense_cost(
            [str(directory)],
            [model.card],
            of_preset("reference-code", windows=(1024,), baselines=1),
        )
        assert not caplog.records
        warn_of_dense_cost([str(directory)], [model.card], of_preset("paper"))
    (record,) = caplog.records
    assert "373,496 passes" in record.message
    assert "on one CPU" in record.message


def test_a_model_with_seams_is_not_spoken_of(
    tiny_model: ScoringModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert estimated_passes(tiny_model, OcclusionSettings()) is None
    card = save_model(tiny_model, tmp_path / "tiny")
    monkeypatch.setattr(dense_cost, "WORTH_TELLING", 0.0)
    with caplog.at_level(logging.WARNING):
        warn_of_dense_cost([str(tmp_path / "tiny")], [card], OcclusionSettings())
    assert not caplog.records
