"""Schema of model cards: the types of a card's entries, and the bounds within which they are believed.

A card may come from anybody, and its numbers decide how much memory and time a model takes. They are checked
before its weights are read. The bounds are far beyond what is trained, and within what a machine can build.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from models.errors import ConfigurationError, ErrorKind
from models.grid import MOST_PIXELS
from models.json_text import first_problem
from models.score_kinds import RECONSTRUCTION_SCORES, Form

_LEVELS = 12
"""Lists and objects within each other."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


_Name = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Redshift = Annotated[float, Field(gt=-1, le=1000)]
_SignalToNoise = Annotated[float, Field(ge=-1e9, le=1e9)]
_Angstrom = Annotated[float, Field(gt=0, le=1e9)]
_Step = Annotated[float, Field(ge=1e-8, le=1e6)]
_Pixels = Annotated[int, Field(ge=2, le=MOST_PIXELS)]
_Width = Annotated[int, Field(ge=1, le=2**14)]
_Layers = Annotated[list[_Width], Field(max_length=32)]
_Latents = Annotated[int, Field(ge=1, le=2**12)]
_Few = Annotated[int, Field(ge=0, le=2**10)]
_Transforms = Annotated[int, Field(ge=1, le=64)]


class _Part(BaseModel):
    """A part of a card: of these entries and no others, each of its own type."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Grid(_Part):
    name: _Name
    spacing: Literal["linear", "log10"]
    start: _Angstrom
    step: _Step
    size: _Pixels


class _Architecture(_Part):
    """What rebuilds the modules of a model."""

    def numbers(self, rest_size: int) -> int:
        """Numbers in the largest of its weights."""
        raise NotImplementedError


class _LocalFlow(_Part):
    transforms: _Transforms
    hidden: _Layers


class _Local(_Architecture):
    latents: _Latents
    novelty: _Few
    novelty_hidden: _Width
    channels: Annotated[_Layers, Field(min_length=1)]
    kernels: _Layers
    strides: _Layers
    heads: _Width
    hidden: _Width
    position_step: Annotated[float, Field(ge=1e-5, le=10)]
    decoder_hidden: _Layers
    flow: _LocalFlow
    scan: Annotated[list[Annotated[list[_Pixels], Field(min_length=2, max_length=2)]], Field(max_length=32)]
    modes: _Few
    arm_edges: Annotated[list[Annotated[float, Field(gt=0, lt=1e9)]], Field(max_length=32)]

    @model_validator(mode="after")
    def _layers_have_three_sizes(self) -> Self:
        if not len(self.channels) == len(self.kernels) == len(self.strides):
            raise ValueError("channels, kernels and strides are of different numbers of layers")
        return self

    def numbers(self, rest_size: int) -> int:
        """See the base: the decoder, the modes, the embedding of positions, wide layers."""
        inputs = self.decoder_hidden[-1] if self.decoder_hidden else self.latents
        embedding = self.channels[-1] / self.position_step
        return max(
            rest_size * inputs,
            rest_size * self.modes,
            int(embedding),
            _largest_product([3, *self.channels], self.kernels),
            _largest_product([self.latents, *self.decoder_hidden]),
            _largest_product([self.latents, *self.flow.hidden]),
        )


class _SpenderFlow(_Part):
    transforms: _Transforms
    hidden: _Width
    blocks: _Few


class _Spender(_Architecture):
    latents: _Latents
    novelty: Literal[0]
    first_pixel: Annotated[int, Field(ge=0, le=MOST_PIXELS)]
    pixels: _Pixels
    encoder_hidden: _Layers
    decoder_hidden: _Layers
    activation: Literal["speculator", "leaky-relu"]
    rest_size: _Pixels
    line_spread: Annotated[int, Field(ge=0, le=MOST_PIXELS)]
    flow: _SpenderFlow

    def numbers(self, rest_size: int) -> int:  # noqa: ARG002 - its own is the one that counts
        """See the base: both perceptrons and the flow's steps."""
        return max(
            _largest_product([self.latents, *self.decoder_hidden, self.rest_size]),
            _largest_product([self.latents, *self.encoder_hidden]),
            self.flow.transforms * self.flow.blocks * self.flow.hidden**2,
        )


class _Variational(_Architecture):
    form: Form
    score: str
    latents: _Latents
    novelty: Literal[0]
    hidden: Annotated[_Layers, Field(min_length=1)]

    @model_validator(mode="after")
    def _the_score_is_known(self) -> Self:
        if self.score not in RECONSTRUCTION_SCORES:
            raise ValueError("there is no reconstruction score of that name")
        return self

    def numbers(self, rest_size: int) -> int:
        """See the base: the perceptrons."""
        return _largest_product([rest_size, *self.hidden])


_ARCHITECTURES: Mapping[str, type[_Architecture]] = {
    "local": _Local,
    "spender": _Spender,
    "variational": _Variational,
}


class _Card(_Part):
    """A whole card. What it is without, and its version, are told apart before."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    name: _Name
    description: Annotated[str, Field(max_length=10_000), AfterValidator(_printable)]
    kind: _Name
    grid: _Grid
    classes: Annotated[list[_Name], Field(max_length=100)]
    redshift_min: _Redshift
    redshift_max: _Redshift
    snr_min: _SignalToNoise
    snr_max: _SignalToNoise
    normalisation_min: _Angstrom
    normalisation_max: _Angstrom
    min_good_fraction: _Share
    rest_start: Annotated[float, Field(ge=0, le=9)]
    rest_step: _Step
    rest_size: _Pixels
    architecture: dict[str, Any]
    training: dict[str, Any]
    metrics: dict[_Name, Annotated[float, Field(allow_inf_nan=True)]]
    calibration_quantiles: list[Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]]
    digest: Annotated[str, Field(max_length=64)]

    @model_validator(mode="after")
    def _ranges_are_in_order(self) -> Self:
        for name in ("redshift", "snr", "normalisation"):
            if not getattr(self, f"{name}_min") <= getattr(self, f"{name}_max"):
                raise ValueError(f"{name}_min is larger than {name}_max")
        if self.rest_start + self.rest_step * self.rest_size > 12:
            raise ValueError("rest_start, rest_step and rest_size lead to wavelengths of kilometres")
        return self


def check_card(description: Mapping[str, Any], where: str) -> None:
    """Refuse a card whose entries are of the wrong type or out of bounds; ``where`` names its file.

    Raises
    ------
    ConfigurationError : the first entry that cannot be.
    """
    if not _is_shallow(description, _LEVELS):
        raise _damaged(where, f"lists and objects within each other, more than {_LEVELS} levels")
    try:
        card = _Card.model_validate(description)
    except ValidationError as error:
        raise _damaged(where, first_problem(error)) from error
    try:
        _ = largest_weight(card.kind, card.rest_size, card.architecture)
    except ValidationError as error:
        raise _damaged(where, f"architecture.{first_problem(error)}") from error


def largest_weight(kind: str, rest_size: int, architecture: Mapping[str, Any]) -> int:
    """Numbers in the largest of the weights that a card asks for; 0 for an unknown kind.

    Raises
    ------
    pydantic.ValidationError : an entry of the architecture cannot be.
    """
    if kind not in _ARCHITECTURES:
        return 0
    return _ARCHITECTURES[kind].model_validate(dict(architecture)).numbers(rest_size)


def _damaged(where: str, got: str) -> ConfigurationError:
    return ConfigurationError(
        "An entry of the model card cannot be.",
        where=where,
        got=got,
        remedy="Take the model anew from where it was made.",
        kind=ErrorKind.CARD_DAMAGED,
    )


def _is_shallow(value: object, levels: int) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(_is_shallow(part, levels - 1) for part in value)


def _largest_product(widths: list[int], kernels: list[int] | None = None) -> int:
    """Numbers in the largest of the layers between these widths."""
    kernels = kernels or [1] * (len(widths) - 1)
    layers = zip(widths, widths[1:], kernels, strict=False)
    return max((inputs * outputs * kernel for inputs, outputs, kernel in layers), default=0)
