"""Models saved to and loaded from ``model.safetensors`` and ``card.json``. Nothing is unpickled."""

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
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard
from models.model_files import CARD, WEIGHTS, digest, pretrained_names, read_model
from models.output_files import writing
from models.scoring.scoring_model import ScoringModel
from models.spectrum_model import SpectrumModel
from models.spender.model import KIND as SPENDER
from models.spender.model import SpenderModel
from models.variational.model import KIND as VARIATIONAL
from models.variational.model import VariationalModel

_OF_SCORE = ("joint.", "calibration")
"""Beginnings of the names of tensors that are fitted to a network's scores."""
# Digests of models, which stores keep, cover the names in their files: these stay as they were.
_MODES_IN_CODE, _MODES_IN_FILES = "residual_factors.", "usual_misfit."

_HALVES = ("decoder.output.weight", "usual_misfit.modes")
"""The largest tensors, kept as halves where that loses nothing: scores are fitted to such weights."""


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


def _in_file(name: str) -> str:
    return name.replace(_MODES_IN_CODE, _MODES_IN_FILES, 1) if name.startswith(_MODES_IN_CODE) else name


def _in_code(name: str) -> str:
    return name.replace(_MODES_IN_FILES, _MODES_IN_CODE, 1) if name.startswith(_MODES_IN_FILES) else name


def save_model(model: SpectrumModel, directory: Path) -> ModelCard:
    """Write weights and card; returns the card with its digest, which the model then carries too.

    Raises
    ------
    InputError : the directory cannot be written to.
    """
    state = {_in_file(name): tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
    for name in _HALVES:
        if name in state and torch.equal(state[name].half().to(state[name].dtype), state[name]):
            state[name] = state[name].half()
    weights = save_tensors(state)
    card = model.card.with_digest(digest(model.card, weights))
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        write_durably(directory / WEIGHTS, weights)
        write_durably(directory / CARD, (json.dumps(card.to_dict(), indent=2) + "\n").encode())
    model.card = card
    return card


def load_model(name: str) -> SpectrumModel:
    """The model of that name among those shipped, or in that directory; in evaluation mode, on CPU.

    Raises
    ------
    InputError, ConfigurationError : see :func:`models.model_files.read_model`; or the weights do not fit.
    """
    files = read_model(name)
    try:
        state = {_in_code(name): tensor for name, tensor in load_tensors(files.weights).items()}
        model = MODEL_KINDS[files.card.kind](files.card, state)
        with torch.no_grad():
            model.load_state_dict(state)
    except (SafetensorError, LookupError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            "The model's weights do not fit its card.",
            where=str(files.directory / WEIGHTS),
            got=error,
            remedy="Take the model anew from where it was made.",
            kind=ErrorKind.MODEL_WEIGHTS,
        ) from error
    model.requires_grad_(False)
    return model.eval()


def load_network(name: str) -> ScoringModel:
    """The network of a local model, without what was fitted of its score: that may be of another version.

    Raises
    ------
    InputError, ConfigurationError : see :func:`load_model`.
    """
    files = read_model(name)
    try:
        model = ScoringModel(files.card, 0)
        of_network = {each for each in model.state_dict() if not each.startswith(_OF_SCORE)}
        found = {_in_code(each): tensor for each, tensor in load_tensors(files.weights).items()}
        with torch.no_grad():
            model.load_state_dict({each: found[each] for each in of_network}, strict=False)
    except (SafetensorError, LookupError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            "The model's network does not fit its card.",
            where=str(files.directory / WEIGHTS),
            got=error,
            remedy="Train the model anew.",
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
            "This needs a model of local layers.",
            where="--model",
            got=f"{model.card.name}, of kind {model.card.kind}",
            allowed="a model of kind local",
            remedy=f"Name one of {', '.join(pretrained_names())}, or one trained with `whyspec train`.",
            kind=ErrorKind.MODEL_KIND,
        )
    return model
