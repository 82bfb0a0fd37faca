"""Rates of a run: the seconds that one core takes for a spectrum, as usual, as given, or as measured here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from engine.attribution.method import MethodSettings
from engine.attribution.methods import method_of
from engine.attribution.occlusion.settings import OcclusionSettings
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard

Basis = Literal["default", "given", "measured"]

_OPTION = "--rates"
_LONGEST_FILE = 2**20
_READING = 1.2e-4
_SCORING = {"local": 2.5e-2, "variational": 2.1e-3, "spender": 0.1}
_EXPLAINING = {"local": 6.5, "variational": 90.0, "spender": 2000.0}
"""Seconds of one core by kind of model, with the default occlusion (docs/numbers.md)."""
_LOCAL_PASS, _LOCAL_REST = 1 / 890, 0.5
"""Seconds of one core for a full pass of a local model in the best batch (docs/numbers.md); and for what
every explanation has besides: the cause and its measurement, other models' scores, places."""


@dataclass(frozen=True)
class Rates:
    """Seconds of one core.

    Attributes
    ----------
    reading : to read, decode and normalise a spectrum.
    scoring : to score a spectrum that a model carries.
    explaining : to explain an outlier.
    basis : where they come from; note : the same for people.
    scored, outliers : spectra that a measurement scored, and how many of them are at or below the threshold.
    """

    reading: float
    scoring: float
    explaining: float
    basis: Basis
    note: str
    scored: int = 0
    outliers: int = 0


_NAMES = ("reading", "scoring", "explaining")


def default_rates(cards: Sequence[ModelCard], settings: MethodSettings) -> Rates:
    """Rates of a usual machine, of the slowest kind of the models; explaining in proportion to its passes."""
    kinds, size = [card.kind for card in cards], cards[0].grid.size
    return Rates(
        reading=_READING,
        scoring=max(_SCORING[kind] for kind in kinds),
        explaining=max(_explaining(kind, settings, size) for kind in kinds),
        basis="default",
        note="of another machine (docs/numbers.md); --measure takes this one's, --rates those of a cluster",
    )


def _explaining(kind: str, settings: MethodSettings, size: int) -> float:
    """Seconds to explain a spectrum of so many pixels."""
    method, usual = method_of(settings), OcclusionSettings()
    passes = method.passes(settings, size)
    if kind == "local" and not method.by_seams(settings):
        return _LOCAL_REST + _LOCAL_PASS * passes
    return _EXPLAINING[kind] * passes / method_of(usual).passes(usual, size)


def given_rates(text: str, default: Rates) -> Rates:
    """What ``--rates`` says: ``scoring=0.025,explaining=6.5``, or a file; the names left out as ``default``.

    A file is JSON with these names, or what ``whyspec plan --json`` wrote.

    Raises
    ------
    ConfigurationError : it is neither, or a rate is not above 0.
    """
    values = _pairs(text) if "=" in text and not Path(text).is_file() else _of_file(text)
    unknown = sorted(set(values) - set(_NAMES))
    if unknown or not values:
        raise _not_rates(", ".join(unknown) or text)
    numbers = {name: _seconds(name, value) for name, value in values.items()}
    missing = [name for name in _NAMES if name not in numbers]
    note = f"given; {' and '.join(missing)} of another machine" if missing else "given"
    return Rates(**{name: getattr(default, name) for name in _NAMES} | numbers, basis="given", note=note)


def _pairs(text: str) -> dict[str, object]:
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    return {name.strip(): value.strip() for name, _, value in parts}


def _of_file(text: str) -> dict[str, object]:
    path = Path(text)
    try:
        if path.stat().st_size > _LONGEST_FILE:
            raise ValueError(f"more than {_LONGEST_FILE:,} bytes")
        found = json.loads(path.read_bytes())
        found = found.get("forecast", found)
        found = found.get("rates", found)
        # A saved plan says more of its rates than these.
        others = {field.name for field in fields(Rates)} - set(_NAMES)
        return {name: value for name, value in found.items() if name not in others}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise _not_rates(f"{text}: {error}") from error


def _seconds(name: str, value: object) -> float:
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) else 0.0
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise _not_rates(f"{name}={value}")
    return seconds


def _not_rates(got: str) -> ConfigurationError:
    return ConfigurationError(
        "The rates were not understood.",
        where=_OPTION,
        got=got,
        allowed=f"{'=…,'.join(_NAMES)}=… in seconds of one core, one or more of them, or a file with them",
        remedy="Write them so, or give the file that `whyspec plan --measure --json` wrote.",
        kind=ErrorKind.OPTION,
    )
