"""Models on disk: the round trip, and what is said of a damaged one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import ConfigurationError, InputError
from models.model_files import (
    FLOATS_PER_PIXEL,
    PRETRAINED,
    WEIGHTS,
    pretrained_for,
    pretrained_names,
    read_model,
)
from models.scoring.scoring_model import ScoringModel
from models.weights import MODEL_KINDS, load_model, save_model
from tests.conftest import random_model


@pytest.fixture
def saved(tiny_model: ScoringModel, tmp_path: Path) -> Path:
    save_model(tiny_model, tmp_path / "model")
    return tmp_path / "model"


def test_round_trip_scores_the_same_bits(tiny_model: ScoringModel, saved: Path) -> None:
    again = load_model(str(saved))
    flux = torch.rand(3, tiny_model.card.grid.size)
    ivar = torch.ones_like(flux)
    redshift = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    scores = [model.outputs(flux, ivar, redshift).score for model in (again, tiny_model)]
    assert torch.equal(*scores)
    assert torch.equal(again.baselines(0.2, np.arange(4)), tiny_model.baselines(0.2, np.arange(4)))
    assert again.card == tiny_model.card


def test_changed_card_is_refused(saved: Path) -> None:
    card = json.loads((saved / "card.json").read_text())
    card["redshift_max"] = 9.0
    (saved / "card.json").write_text(json.dumps(card))
    with pytest.raises(ConfigurationError, match="do not belong together") as caught:
        load_model(str(saved))
    assert caught.value.kind == "model-digest"


def test_changed_weights_are_refused(saved: Path) -> None:
    weights = bytearray((saved / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (saved / "model.safetensors").write_bytes(weights)
    with pytest.raises(ConfigurationError, match="do not belong together"):
        load_model(str(saved))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(
    value: float, tiny_model: ScoringModel, tmp_path: Path
) -> None:
    with torch.no_grad():
        tiny_model.decoder.output.weight[0, 0] = value
    save_model(tiny_model, tmp_path / "model")
    with pytest.raises(ConfigurationError, match=r"not finite in decoder\.output\.weight") as caught:
        read_model(str(tmp_path / "model"))
    assert caught.value.kind == "model-weights"


def test_other_card_version_is_refused(saved: Path) -> None:
    card = json.loads((saved / "card.json").read_text())
    card["card_version"] = 99
    (saved / "card.json").write_text(json.dumps(card))
    with pytest.raises(ConfigurationError, match=r"another version(.|\n)*got: 99"):
        load_model(str(saved))


def test_card_that_is_not_json_is_refused(saved: Path) -> None:
    (saved / "card.json").write_text("{")
    with pytest.raises(ConfigurationError, match="not JSON"):
        load_model(str(saved))


def test_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model of that name(.|\n)*whyspec train"):
        load_model(str(tmp_path / "nothing"))


def test_no_shipped_model_for_an_unknown_grid() -> None:
    with pytest.raises(ConfigurationError, match=r"No model ships(.|\n)*whyspec train"):
        pretrained_for("gemini")


SHIPPED = {
    "desi-galaxy": "GALAXY",
    "desi-galaxy-distant": "GALAXY",
    "desi-quasar": "QSO",
    "desi-quasar-distant": "QSO",
    "desi-star": "STAR",
    "sdss-galaxy": "GALAXY",
    "sdss-galaxy-distant": "GALAXY",
    "sdss-quasar": "QSO",
    "sdss-quasar-distant": "QSO",
    "sdss-star": "STAR",
}


def test_these_models_ship() -> None:
    assert pretrained_names() == tuple(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_load_and_tell_what_they_are(name: str) -> None:
    model = load_model(name)
    assert name in pretrained_for(model.card.grid.name)
    assert model.card.classes == (SHIPPED[name],)
    assert model.calibration_size == 2000
    assert {"validation_fidelity", "reconstruction_chi2_per_pixel"} <= set(model.card.metrics)


def test_files_say_what_the_loaded_model_does(saved: Path) -> None:
    for name in (str(saved), *pretrained_names()):
        files, model = read_model(name), load_model(name)
        assert files.card == model.card
        assert files.calibration_size == model.calibration_size
        assert files.tensor_bytes == sum(tensor.nbytes for tensor in model.state_dict().values())
        assert files.floats_per_pixel == model.floats_per_pixel
    assert set(MODEL_KINDS) == set(FLOATS_PER_PIXEL)


def test_files_say_how_well_a_tail_probability_is_known(saved: Path) -> None:
    tail, files = load_model(str(saved)).calibration.tail_of_all, read_model(str(saved))
    assert files.least_tail_probability == pytest.approx(torch.exp(-tail(tail.knots[-1:])).item())
    depths = tail(tail.knots[[20, 40, 50]])
    expected = tail.log_spread(tail.knots[[20, 40, 50]])
    known = [files.tail_uncertainty(probability) for probability in torch.exp(-depths).tolist()]
    np.testing.assert_allclose(known, expected.numpy(), rtol=1e-6)


def test_large_weights_that_are_halves_are_kept_as_such(tmp_path: Path) -> None:
    model = random_model()
    card = save_model(model, tmp_path / "single")
    for weight in (model.decoder.output.weight, model.residual_factors.modes):
        weight.data.copy_(weight.data.half())
    halved = save_model(model, tmp_path / "halves")
    assert card.digest != halved.digest
    single, halves = ((tmp_path / name / WEIGHTS).stat().st_size for name in ("single", "halves"))
    numbers = model.decoder.output.weight.numel() + model.residual_factors.modes.numel()
    assert single - halves == pytest.approx(2 * numbers, abs=200)
    loaded = load_model(str(tmp_path / "halves")).state_dict()
    for name, tensor in model.state_dict().items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor), name


def test_shipped_models_are_small() -> None:
    total = sum(path.stat().st_size for path in PRETRAINED.rglob("*") if path.is_file())
    assert total < 40e6
