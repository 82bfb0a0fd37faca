"""Model files: the card and the weights of a model on disk, checked but not loaded: that needs no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from models.card_schema import largest_weight
from models.digests import digest_of
from models.errors import ConfigurationError, ErrorKind, InputError
from models.model_card import ModelCard

WEIGHTS = "model.safetensors"
CARD = "card.json"

_LATENTS = "calibration_latents"
_DEPTH, _SPREAD = "calibration.tail_of_all.depth", "calibration.tail_of_all.spread"

_LARGEST_CARD, _LARGEST_WEIGHTS = 2**24, 2**31

PRETRAINED = Path(__file__).parent / "pretrained"


def _local_floats(card: ModelCard) -> int:
    # Flux, its copies while it is pasted and scaled, the first layer's three channels; then
    # every layer's output before and after its activation.
    held, stride = 10.0, 1
    for channels, step in zip(card.architecture["channels"], card.architecture["strides"], strict=True):
        stride *= step
        held += 2 * channels / stride
    # The modes of the four spectra that are scanned at once, their products and sums, shared out over a
    # batch of a hundred.
    return math.ceil(held + 5 * int(card.architecture["modes"]) * 4 / 100)


FLOATS_PER_PIXEL: dict[str, Callable[[ModelCard], int]] = {
    "local": _local_floats,
    # Sixteen arrays; and the first convolution's 128 channels of the four spectra that go through it
    # together, less their mean, squared, shared out over a batch of 64.
    "spender": lambda _card: 16 + 3 * 128 * 4 // 64,
    # Sixteen arrays in double precision: flux, ivar, reconstruction, residuals and terms of the score,
    # each before and after its mask. Taps are held for few spectra only.
    "variational": lambda _card: 32,
}
"""Numbers held at once for each pixel of each spectrum that is scored, by the kind of the model."""

GRADIENT_FLOATS_PER_PIXEL: dict[str, Callable[[ModelCard], int]] = {
    # What is held without a gradient, and what flux and its sums leave for the way back.
    "local": lambda card: _local_floats(card) + 16,
    # Of the first convolution's 128 channels, at each pixel: before and after its mean, variance and
    # activation, with a gradient of each; the later layers' positions are a fifth as many, and fewer.
    "spender": lambda _card: 16 + 10 * 128,
    "variational": lambda _card: 64,
}
"""Numbers held at once for each pixel of each spectrum whose score is differentiated."""


@dataclass(frozen=True)
class ModelFiles:
    """A model on disk.

    Attributes
    ----------
    directory : where it is.
    card : of the model.
    weights : content of its file, which is the one that the card was made for.
    """

    directory: Path
    card: ModelCard
    weights: bytes

    @property
    def calibration_size(self) -> int:
        """Number of calibration spectra, from which baselines are drawn."""
        return len(self.tensors[_LATENTS])

    @property
    def least_tail_probability(self) -> float:
        """Where the tail that was fitted to the calibration spectra ends."""
        return float(np.exp(-self.tensors[_DEPTH][-1]))

    def tail_uncertainty(self, probability: float) -> float:
        """One standard deviation of the natural log of a tail probability, by the calibration set's size."""
        return float(np.interp(-np.log(probability), self.tensors[_DEPTH], self.tensors[_SPREAD]))

    @property
    def tensor_bytes(self) -> int:
        """What the weights take in memory, where halves are single."""
        return sum(
            tensor.nbytes * (2 if tensor.dtype == np.float16 else 1) for tensor in self.tensors.values()
        )

    @property
    def floats_per_pixel(self) -> int:
        """Numbers held at once for each pixel of each spectrum that is scored, to plan memory by."""
        return FLOATS_PER_PIXEL[self.card.kind](self.card)

    @property
    def gradient_floats_per_pixel(self) -> int:
        """The same for spectra whose score is differentiated: layers keep what they gave."""
        return GRADIENT_FLOATS_PER_PIXEL[self.card.kind](self.card)

    @cached_property
    def tensors(self) -> dict[str, NDArray[Any]]:
        """The weights by name."""
        return dict(load(self.weights))


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
        remedy="Train one with `whyspec train RELEASE -o DIR` and pass --model DIR.",
        kind=ErrorKind.NO_MODEL_OF_GRID,
    )


def digest(card: ModelCard, weights: bytes) -> str:
    """Hex digest of a model: its weights' bytes and its card without the digest."""
    # Not canonical_json, which refuses NaN: a training that diverged puts it into the card's metrics.
    text = json.dumps(card.with_digest("").to_dict(), sort_keys=True, separators=(",", ":"))
    return digest_of(text.encode() + b"\0" + weights)


def is_model(name: str) -> bool:
    """Whether there is a shipped model of that name, or a directory with weights and card."""
    return all((_directory(name) / each).is_file() for each in (CARD, WEIGHTS))


def _directory(name: str) -> Path:
    return PRETRAINED / name if name in pretrained_names() else Path(name)


def read_model(name: str) -> ModelFiles:
    """The files of the model of that name among those shipped, or in that directory.

    Raises
    ------
    InputError : neither a shipped model nor a directory with weights and card.
    ConfigurationError : weights and card do not belong together.
    """
    directory = _directory(name)
    if not is_model(name):
        raise InputError(
            "There is no model of that name.",
            where="--model",
            got=name,
            allowed=f"{', '.join(pretrained_names())}, or a directory with {CARD} and {WEIGHTS}",
            remedy="Train one with `whyspec train RELEASE -o DIR`.",
            kind=ErrorKind.NO_MODEL,
        )
    card = ModelCard.from_dict(_description(directory / CARD), str(directory / CARD))
    if card.kind not in FLOATS_PER_PIXEL:
        raise ConfigurationError(
            "The model is of a kind that this code does not know.",
            where=str(directory / CARD),
            got=card.kind,
            allowed=", ".join(FLOATS_PER_PIXEL),
            remedy="Use the whyspec version that wrote it.",
            kind=ErrorKind.MODEL_KIND,
        )
    weights = _weights(directory / WEIGHTS)
    if digest(card, weights) != card.digest:
        raise ConfigurationError(
            "Weights and card of the model do not belong together, or one of them was changed.",
            where=str(directory),
            got=digest(card, weights),
            allowed=card.digest,
            remedy="Take the model anew from where it was made.",
            kind=ErrorKind.MODEL_DIGEST,
        )
    files = ModelFiles(directory, card, weights)
    _check_weights(files)
    return files


def _description(path: Path) -> dict[str, Any]:
    """What a card says."""
    try:
        if path.stat().st_size > _LARGEST_CARD:
            raise ValueError(f"more than {_LARGEST_CARD:,} bytes")
        # Not read_json, which refuses NaN: see digest.
        description = json.loads(path.read_bytes())
        if not isinstance(description, dict):
            raise ValueError("no JSON object")
        return description
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            "The model card is not JSON.",
            where=str(path),
            got=str(error),
            remedy="Take the model anew from where it was made.",
            kind=ErrorKind.CARD_DAMAGED,
        ) from error


def _weights(path: Path) -> bytes:
    size = path.stat().st_size
    if size > _LARGEST_WEIGHTS:
        raise _misfit(path, f"{size:,} bytes, too large to be a model's")
    return path.read_bytes()


def _check_weights(files: ModelFiles) -> None:
    """Refuse weights that cannot be decoded, or that are fewer than the card's sizes need."""
    path, card = files.directory / WEIGHTS, files.card
    try:
        latents, depth, spread = (files.tensors[name] for name in (_LATENTS, _DEPTH, _SPREAD))
        wild = [name for name, values in files.tensors.items() if not np.isfinite(values).all()]
    except (SafetensorError, LookupError, ValueError) as error:
        raise _misfit(path, f"{type(error).__name__}: {error}") from error
    if wild:
        raise _misfit(path, f"numbers that are not finite in {', '.join(wild)}")
    is_tail = depth.ndim == 1 and depth.size > 0 and depth.shape == spread.shape
    if latents.ndim != 2 or latents.shape[1] != card.latents or not is_tail:
        raise _misfit(path, f"a calibration of shapes {latents.shape}, {depth.shape}, {spread.shape}")
    needed = largest_weight(card.kind, card.rest_size, card.architecture)
    if needed > len(files.weights):
        raise _misfit(path, f"{len(files.weights):,} bytes; the card needs {needed:,} numbers and more")


def _misfit(path: Path, got: str) -> ConfigurationError:
    return ConfigurationError(
        "The model's weights do not fit its card.",
        where=str(path),
        got=got,
        remedy="Take the model anew from where it was made.",
        kind=ErrorKind.MODEL_WEIGHTS,
    )
