"""Model cards that are damaged or made to do harm are refused at once, before weights are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.digests import digest_of
from models.errors import ConfigurationError, WhyspecError
from models.model_files import read_model
from models.scoring.scoring_model import ScoringModel
from models.weights import load_model, save_model

NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The card of a small model, as it was saved."""
    from tests.conftest import random_model

    directory = tmp_path_factory.mktemp("model")
    save_model(random_model(), directory)
    found: dict[str, Any] = json.loads((directory / "card.json").read_text())
    return found


def put(directory: Path, card: str | bytes) -> str:
    """A model whose weights, if they were read, would be the fault."""
    (directory / "card.json").write_bytes(card if isinstance(card, bytes) else card.encode())
    (directory / "model.safetensors").write_bytes(b"")
    return str(directory)


def at(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """A change of one entry, e.g. ``grid.size``."""

    def change(card: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        for name in outer:
            card = card[name]
        card[last] = value

    return change


def nested(depth: int) -> object:
    value: object = 0
    for _ in range(depth):
        value = [value]
    return value


CHANGES = [
    ("grid.size", 10**12), ("grid.size", NAN), ("grid.size", -5), ("grid.size", [7781]),
    ("grid.size", "7781"), ("grid.step", 0.0), ("grid.step", INFINITY), ("grid.start", NAN), ("grid", [1]),
    ("grid.spacing", "cubic"),
    ("rest_size", 10**12), ("rest_size", 3.5), ("rest_step", NAN), ("rest_start", 1e308),
    ("redshift_max", "a"), ("redshift_max", -2.0), ("redshift_min", 0.9), ("redshift_max", 10**400),
    ("snr_min", [1]), ("normalisation_min", NAN), ("min_good_fraction", 40),
    ("name", 7), ("name", "x" * 10**6), ("name", "a\x1b]0;b"), ("classes", "GALAXY"),
    ("classes", [["GALAXY"]]),
    ("metrics", [1]), ("metrics", {"a": "b"}), ("training", 5), ("training", {"a": nested(100)}),
    ("calibration_quantiles", 3), ("calibration_quantiles", [[0.1]]), ("digest", 5),
    ("architecture", None), ("architecture", []), ("architecture.latents", 10**9),
    ("architecture.latents", "3"),
    ("architecture.channels", 4), ("architecture.channels", [4, 4]), ("architecture.channels", [10**6] * 3),
    ("architecture.strides", [0, 4, 2]), ("architecture.kernels", [8.0, 8, 4]),
    ("architecture.position_step", 1e-300), ("architecture.position_step", NAN),
    ("architecture.flow", {"transforms": 10**6, "hidden": [8]}), ("architecture.flow", {}),
    ("architecture.flow.hidden", [8] * 10**5), ("architecture.scan", [[64, 0]]), ("architecture.scan", [64]),
    ("architecture.modes", -1), ("architecture.modes", True), ("architecture.extra", 1),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_an_entry_that_cannot_be_is_refused_by_name(
    card: dict[str, Any], path: str, value: object, tmp_path: Path
) -> None:
    changed = json.loads(json.dumps(card))
    at(path, value)(changed)
    with pytest.raises(ConfigurationError) as caught:
        read_model(put(tmp_path, json.dumps(changed)))
    assert caught.value.kind == "card-damaged"
    assert caught.value.where == str(tmp_path / "card.json")
    assert path.rpartition(".")[0].split(".")[0] in caught.value.got
    assert len(caught.value.got) < 300


@pytest.mark.parametrize("kind", ["spender", "variational", "local"])
def test_an_architecture_of_another_kind_is_refused(card: dict[str, Any], kind: str, tmp_path: Path) -> None:
    other = (
        {"latents": 3, "novelty": 0, "activation": "leaky-relu"} if kind == "local" else card["architecture"]
    )
    with pytest.raises(ConfigurationError, match=r"architecture\."):
        read_model(put(tmp_path, json.dumps({**card, "kind": kind, "architecture": other})))


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"null", b"[]", b'"card"', b"7", b"\xff\xfe{}", b"[" * 10**6,
        b'{"card_version": ' + b"[" * 10**5,
        b'{"card_version": ' + b"9" * 10_000 + b"}", b" " * (2**24 + 1),
    ],
)  # fmt: skip
def test_what_is_no_card_is_refused(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_model(put(tmp_path, text))
    assert caught.value.kind == "card-damaged"


def test_a_diverged_training_leaves_a_card_that_can_be_read(tiny_model: ScoringModel, tmp_path: Path) -> None:
    tiny_model.card.metrics["validation_fidelity"] = NAN  # type: ignore[index]
    save_model(tiny_model, tmp_path)
    assert load_model(str(tmp_path)).card.digest == tiny_model.card.digest


def resealed(directory: Path, weights: bytes) -> str:
    """The model with other weights, and the digest that its card must then have."""
    card = json.loads((directory / "card.json").read_text())
    card["digest"] = ""
    version = card.pop("card_version")
    body = {**card, "card_version": version}
    text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    (directory / "card.json").write_text(json.dumps({**body, "digest": digest_of(text + b"\0" + weights)}))
    (directory / "model.safetensors").write_bytes(weights)
    return str(directory)


def header(entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


def tensor(*shape: int, end: int = 0) -> dict[str, object]:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [0, end]}


TAIL = ("calibration.tail_of_all.depth", "calibration.tail_of_all.spread")


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"\xff" * 8,
        (2**62).to_bytes(8, "little") + b"{}",
        header([]),
        header({}),
        header({"calibration_latents": 5}),
        header({"calibration_latents": tensor()}),
        header({"calibration_latents": tensor(10**12, 0)}),
        header({"calibration_latents": tensor(-1, 4)}),
        header({"calibration_latents": tensor(10**9, 4, end=16 * 10**9)}),
        header({"calibration_latents": {"dtype": "F32", "shape": "4", "data_offsets": [0, 0]}}),
        (100_008).to_bytes(8, "little") + b"[" * 100_008,
        header({"calibration_latents": tensor(200, 4, end=3200)}) + bytes(3200),
        header({name: tensor(0, end=0) for name in TAIL} | {"calibration_latents": tensor(200, 4, end=3200)})
        + bytes(3200),
    ],
)
def test_weights_with_a_hostile_header_are_refused(
    tiny_model: ScoringModel, weights: bytes, tmp_path: Path
) -> None:
    save_model(tiny_model, tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        read_model(resealed(tmp_path, weights))
    assert caught.value.kind == "model-weights"


def test_sizes_beyond_the_weights_are_refused_before_they_are_built(
    tiny_model: ScoringModel, tmp_path: Path
) -> None:
    save_model(tiny_model, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    card["rest_size"], card["architecture"]["decoder_hidden"] = 2**20, [8192]  # 34 GB
    card["rest_step"] = 1e-7
    (tmp_path / "card.json").write_text(json.dumps(card))
    weights = (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(ConfigurationError, match=r"weights do not fit its card(.|\n)*numbers"):
        read_model(resealed(tmp_path, weights))


def test_a_file_of_weights_that_is_far_too_large_is_not_read(
    tiny_model: ScoringModel, tmp_path: Path
) -> None:
    save_model(tiny_model, tmp_path)
    with (tmp_path / "model.safetensors").open("r+b") as stream:
        stream.truncate(2**40)
    with pytest.raises(WhyspecError, match="too large"):
        read_model(str(tmp_path))
