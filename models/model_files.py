"""Model files: the card and the weights of a model on disk, checked but not loaded: that needs no torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.digests import digest_of
from models.errors import ConfigurationError, ErrorKind, InputError
from models.model_card import ModelCard

WEIGHTS = "model.safetensors"
CARD = "card.json"

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
    return ceil(held + 5 * int(card.architecture["modes"]) * 4 / 100)


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
        return int(self._header["calibration_latents"]["shape"][0])

    @property
    def least_tail_probability(self) -> float:
        """Where the tail that was fitted to the calibration spectra ends."""
        return float(np.exp(-self._numbers("calibration.tail_of_all.depth")[-1]))

    def tail_uncertainty(self, probability: float) -> float:
        """One standard deviation of the natural log of a tail probability, by the calibration set's size."""
        depth, spread = (self._numbers(f"calibration.tail_of_all.{name}") for name in ("depth", "spread"))
        return float(np.interp(-np.log(probability), depth, spread))

    @property
    def tensor_bytes(self) -> int:
        """What the weights take in memory."""
        tensors = (tensor for name, tensor in self._header.items() if name != "__metadata__")
        return max(int(tensor["data_offsets"][1]) for tensor in tensors)

    @property
    def floats_per_pixel(self) -> int:
        """Numbers held at once for each pixel of each spectrum that is scored, to plan memory by."""
        return FLOATS_PER_PIXEL[self.card.kind](self.card)

    def _numbers(self, name: str) -> NDArray[np.float64]:
        """A tensor of double precision and one dimension."""
        start, stop = self._header[name]["data_offsets"]
        begin = 8 + int.from_bytes(self.weights[:8], "little")
        return np.frombuffer(self.weights[begin + start : begin + stop], "<f8")

    @cached_property
    def _header(self) -> dict[str, Any]:
        """Shapes and places of the tensors: of safetensors, a length in eight bytes and then JSON."""
        length = int.from_bytes(self.weights[:8], "little")
        header: dict[str, Any] = json.loads(self.weights[8 : 8 + length])
        return header


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


def read_model(name: str) -> ModelFiles:
    """The files of the model of that name among those shipped, or in that directory.

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
            remedy="Train one with `whyspec train RELEASE -o DIR`.",
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
    if card.kind not in FLOATS_PER_PIXEL:
        raise ConfigurationError(
            "The model is of a kind that this code does not know.",
            where=str(directory / CARD),
            got=card.kind,
            allowed=", ".join(FLOATS_PER_PIXEL),
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
    return ModelFiles(directory, card, weights)
