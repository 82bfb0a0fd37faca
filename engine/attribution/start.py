"""Start: the spectrum from which a method's path begins, or to which it fades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

Start = Literal["reconstruction", "zero"]
"""What the model sees in the spectrum, or no flux, as published forms have it."""


def start_of(subject: Subject, start: Start) -> Tensor:
    """The start (N,), float64."""
    import torch

    return subject.reconstruction if start == "reconstruction" else torch.zeros_like(subject.flux.double())
