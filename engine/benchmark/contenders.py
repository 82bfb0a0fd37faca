"""Contenders: what a benchmark judges. Methods of whyspec, functions of strangers, and a random map.

A stranger's method is a function of flux (N,), ivar (N,) and redshift that returns a map (N,), positive where
a pixel makes the spectrum odd. Flux is as the model sees it: on its grid, divided by its median at rest, 0
where ivar is 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.method import MethodSettings
from engine.attribution.methods import method_of
from engine.attribution.subject import Subject
from engine.evaluation.localisation import random_map
from models.errors import ConfigurationError, ErrorKind, QuarantineError
from models.model_card import ModelCard

MapFunction = Callable[[NDArray[np.float32], NDArray[np.float32], float], NDArray[np.floating]]
Explain = Callable[[Subject], Attribution]

RANDOM = "random"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, eq=False)
class Contender:
    """One method as a benchmark calls it.

    Attributes
    ----------
    name : also of its files.
    settings : JSON-ready; records of other settings are not its own.
    explain : a subject. Raises QuarantineError where there is no explanation.
    neighbours : the same method under other settings.
    widest : scale of its widest map, in pixels.
    passes : forward passes that one explanation of so many pixels stands for; 0 where nobody knows.
    asks_the_model : whether it explains the model's score. What does not is not judged by models that are
        changed.
    refuse : raises ConfigurationError for a model that does not suit, by its card and the number of its
        calibration spectra.
    """

    name: str
    settings: Mapping[str, Any]
    explain: Explain
    neighbours: tuple[Explain, ...] = ()
    widest: int = 1
    passes: Callable[[int], int] = field(default=lambda _: 0)
    asks_the_model: bool = True
    refuse: Callable[[ModelCard, int], None] = field(default=lambda *_: None)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                "The name of a method or detector cannot be that of a file.",
                where="names of a benchmark",
                got=repr(self.name),
                allowed="letters, digits, points, hyphens, underscores; 64 at most",
                remedy="Give it another name.",
                kind=ErrorKind.BENCHMARK_SETTINGS,
            )


def own_contender(settings: MethodSettings) -> Contender:
    """A method of whyspec, by the door that runs call it by."""
    method = method_of(settings)
    return Contender(
        name=own_name(settings),
        settings=settings.to_dict(),
        explain=_explain(settings),
        neighbours=tuple(_explain(each) for each in neighbours(settings)),
        widest=max(method.scales(settings)),
        passes=lambda pixels: method.passes(settings, pixels),
        refuse=lambda card, calibration_size: method.refuse(settings, card, calibration_size),
    )


def own_name(settings: MethodSettings) -> str:
    """The method's name; with other settings than the defaults these too: ``lime.width-32``."""
    defaults = type(settings)().to_dict()
    changed = [f"{name}-{value}" for name, value in settings.to_dict().items() if value != defaults[name]]
    return ".".join(
        [settings.method, *(re.sub(r"[^A-Za-z0-9_.]+", "-", each).strip("-") for each in changed)]
    )


def stranger(name: str, function: MapFunction) -> Contender:
    """A function of strangers, see the module."""
    qualified = f"{function.__module__}:{getattr(function, '__qualname__', name)}"

    def explain(subject: Subject) -> Attribution:
        flux, ivar = subject.flux.cpu().numpy(), subject.ivar.float().cpu().numpy()
        try:
            found = np.asarray(function(flux, ivar, subject.redshift), dtype=np.float64)
        except Exception as error:  # whatever it does with one spectrum, the others are judged
            raise QuarantineError(
                "A method failed.",
                where=qualified,
                got=f"{type(error).__name__}: {error}",
                remedy="Correct the function.",
                kind=ErrorKind.BENCHMARK_MAP,
            ) from error
        return _of_map(subject, found)

    return Contender(name, {"function": qualified}, explain, asks_the_model=False)


def random_contender() -> Contender:
    """A map of random numbers: what every method must beat."""

    def explain(subject: Subject) -> Attribution:
        # Of the spectrum's own bits: the same spectrum, the same map.
        seed = int.from_bytes(np.float64(subject.flux.double().sum().item()).tobytes(), "little")
        return _of_map(subject, random_map(subject.good.cpu().numpy(), seed))

    return Contender(RANDOM, {}, explain)


def neighbours(settings: MethodSettings) -> tuple[MethodSettings, ...]:
    """The same method with another seed; and with half the amounts and scales in between, if it has any."""
    values = settings.to_dict()
    seed = {name: value + 1 for name, value in values.items() if name == "seed" and isinstance(value, int)}
    others = {name: change for name, value in values.items() if (change := _other(name, value)) != value}
    found = []
    for change in (seed, others):
        try:
            if change:
                found.append(type(settings).from_dict({**values, **change}))
        except ConfigurationError:
            continue  # the method does not allow it: then there is no such neighbour
    return tuple(found)


_AMOUNTS = ("samples", "permutations", "steps", "baselines", "blocks", "segments", "most", "rounds")
_SCALES = ("windows", "widths", "areas")


def _other(name: str, value: object) -> object:
    if name in _AMOUNTS and isinstance(value, int):
        return max(1, value // 2)
    if name == "width" and isinstance(value, int):
        return 2 * value
    if name in _SCALES and isinstance(value, list) and len(value) > 1:
        return [2 * each for each in value[:-1]]
    return value


def _explain(settings: MethodSettings) -> Explain:
    return lambda subject: method_of(settings).attribute(subject, settings)


def _of_map(subject: Subject, values: NDArray[np.float64]) -> Attribution:
    if values.shape != tuple(subject.flux.shape):
        raise QuarantineError(
            "A method gave no map of the spectrum.",
            where="method of a benchmark",
            got=f"an array of shape {values.shape}",
            allowed=f"one number for each pixel, {tuple(subject.flux.shape)}",
            remedy="Return a map as long as flux.",
            kind=ErrorKind.BENCHMARK_MAP,
        )
    return attribution_of(subject, (1,), values[None])
