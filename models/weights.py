"""Models on disk: a directory with ``model.safetensors`` and ``card.json``. Nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from models.atomic_files import write_durably
from models.digests import digest_of
from models.errors import ConfigurationError, ErrorKind, InputError
from models.model_card import ModelCard
from models.scoring.scoring_model import ScoringModel
from models.spectrum_model import SpectrumModel
from models.spender.model import KIND as SPENDER
from models.spender.model import SpenderModel
from models.variational.model import KIND as VARIATIONAL
from models.variational.model import VariationalModel

WEIGHTS = "model.safetensors"
CARD = "card.json"
# Digests of models, which stores keep, cover the names in their files: these stay as they were.
_MODES_IN_CODE, _MODES_IN_FILES = "residual_factors.", "usual_misfit."

PRETRAINED = Path(__file__).parent / "pretrained"


def _local(card: ModelCard, state: Mapping[str, Tensor]) -> SpectrumModel:
    return ScoringModel(card, len(state["calibration_latents"]))


def _spender(card: ModelCard, state: Mapping[str, Tensor]) -> SpectrumModel:
    return SpenderModel(card, len(state["calibration_latents"]))


def _variational(card: ModelCard, state: Mapping[str, Tensor]) -> SpectrumModel:
    return VariationalModel(card, len(state["calibration_latents"]))


MODEL_KINDS: dict[str, Callable[[ModelCard, Mapping[str, Tensor]], SpectrumModel]] = {
    "local": _local,
    SPENDER: _spender,
    VARIATIONAL: _variational,
}
"""From a card and the tensors that will be loaded to a model of the right shapes, by the card's kind."""


def pretrained_names() -> tuple[str, ...]:
    """Names of the models that ship with whyspec."""
    return tuple(sorted(path.parent.name for path in PRETRAINED.glob(f"*/{CARD}")))


def pretrained_for(grid_name: str) -> tuple[str, ...]:
    """Names of the shipped models for spectra on the grid of that name, at least one.

    Raises
    ------
    ConfigurationError : none ships for that grid.
    """
    names = tuple(
        name
        for name in pretrained_names()
        if json.loads((PRETRAINED / name / CARD).read_text())["grid"]["name"] == grid_name
    )
    if names:
        return names
    raise ConfigurationError(
        "No model ships for this wavelength grid.",
        got=grid_name,
        allowed=", ".join(pretrained_names()) or "none installed",
        remedy="Train one with `whyspec train RELEASE --model DIR` and pass --model DIR.",
        kind=ErrorKind.NO_MODEL_OF_GRID,
    )


def _in_file(name: str) -> str:
    return name.replace(_MODES_IN_CODE, _MODES_IN_FILES, 1) if name.startswith(_MODES_IN_CODE) else name


def _in_code(name: str) -> str:
    return name.replace(_MODES_IN_FILES, _MODES_IN_CODE, 1) if name.startswith(_MODES_IN_FILES) else name


def digest(card: ModelCard, weights: bytes) -> str:
    """Hex digest of a model: its weights' bytes and its card without the digest."""
    # Not canonical_json, which refuses NaN: a training that diverged puts it into the card's metrics.
    text = json.dumps(card.with_digest("").to_dict(), sort_keys=True, separators=(",", ":"))
    return digest_of(text.encode() + b"\0" + weights)


def save_model(model: SpectrumModel, directory: Path) -> ModelCard:
    """Write weights and card; returns the card with its digest, which the model then carries too."""
    state = {_in_file(name): tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
    weights = save_tensors(state)
    card = model.card.with_digest(digest(model.card, weights))
    directory.mkdir(parents=True, exist_ok=True)
    write_durably(directory / WEIGHTS, weights)
    write_durably(directory / CARD, (json.dumps(card.to_dict(), indent=2) + "\n").encode())
    model.card = card
    return card


def load_model(name: str) -> SpectrumModel:
    """The model of that name among those shipped, or in that directory; in evaluation mode, on CPU.

    Raises
    ------
    InputError : neither a shipped model nor a directory with weights and card.
    ConfigurationError : weights and card do not belong together.
    """
    directory = PRETRAINED / name if name in pretrained_names() else Path(name)
    if not (directory / CARD).is_file() or not (directory / WEIGHTS).is_file():
        raise InputError(
            "There is no model of that name.",
            where="--model",
            got=name,
            allowed=f"{', '.join(pretrained_names())}, or a directory with {CARD} and {WEIGHTS}",
            remedy="Train one with `whyspec train RELEASE --model DIR`.",
            kind=ErrorKind.NO_MODEL,
        )
    try:
        description = json.loads((directory / CARD).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "The model card is not JSON.",
            where=str(directory / CARD),
            got=str(error),
            remedy="Take the model anew from where it was made.",
            kind=ErrorKind.CARD_DAMAGED,
        ) from error
    card = ModelCard.from_dict(description, str(directory / CARD))
    if card.kind not in MODEL_KINDS:
        raise ConfigurationError(
            "The model is of a kind that this code does not know.",
            where=str(directory / CARD),
            got=card.kind,
            allowed=", ".join(MODEL_KINDS),
            remedy="Use the whyspec version that wrote it.",
            kind=ErrorKind.MODEL_KIND,
        )
    weights = (directory / WEIGHTS).read_bytes()
    if digest(card, weights) != card.digest:
        raise ConfigurationError(
            "Weights and card of the model do not belong together, or one of them was changed.",
            where=str(directory),
            got=digest(card, weights),
            allowed=card.digest,
            remedy="Take the model anew from where it was made.",
            kind=ErrorKind.MODEL_DIGEST,
        )
    try:
        state = {_in_code(name): tensor for name, tensor in load_tensors(weights).items()}
        model = MODEL_KINDS[card.kind](card, state)
        with torch.no_grad():
            model.load_state_dict(state)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ConfigurationError(
            "The model's weights do not fit its card.",
            where=str(directory / WEIGHTS),
            got=error,
            remedy="Take the model anew from where it was made.",
            kind=ErrorKind.MODEL_WEIGHTS,
        ) from error
    model.requires_grad_(False)
    return model.eval()


def load_local_model(name: str) -> ScoringModel:
    """As :func:`load_model`, a model of whyspec's own kind.

    Raises
    ------
    ConfigurationError : the model is of another kind.
    """
    model = load_model(name)
    if not isinstance(model, ScoringModel):
        raise ConfigurationError(
            "This needs a model that can be taken apart.",
            where="--model",
            got=f"{model.card.name}, of kind {model.card.kind}",
            allowed="a model of kind local",
            remedy=f"Name one of {', '.join(pretrained_names())}, or one trained with `whyspec train`.",
            kind=ErrorKind.MODEL_KIND,
        )
    return model
