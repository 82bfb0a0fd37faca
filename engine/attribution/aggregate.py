"""Aggregate: the mean of several methods' maps, and how far they agree."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from engine.attribution.agreement import rank_correlation
from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.method import AttributionMethod, MethodSettings, Units, setting_error

if TYPE_CHECKING:
    from engine.attribution.subject import Subject
    from models.model_card import ModelCard


@dataclass(frozen=True, slots=True)
class AggregateSettings(MethodSettings):
    """Settings of an aggregate.

    Attributes
    ----------
    methods : names of two or more others, each with its defaults.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "aggregate"

    methods: tuple[str, ...] = ("occlusion", "expected-gradients", "residual")

    def __post_init__(self) -> None:
        from engine.attribution.methods import METHODS

        others = [name for name in METHODS if name != self.method]
        distinct = len(set(self.methods)) == len(self.methods)
        if len(self.methods) < 2 or not distinct or not set(self.methods) <= set(others):
            raise setting_error(self, "methods", f"two or more of {', '.join(others)}")


@dataclass(frozen=True, eq=False, kw_only=True)
class AggregateAttribution(Attribution):
    """An attribution by several methods.

    Attributes
    ----------
    agreement : mean rank correlation (Spearman) of the methods' combined maps over good pixels, of all pairs;
        NaN where a map is uniform.
    """

    agreement: float


def attribute(subject: Subject, settings: AggregateSettings) -> AggregateAttribution:
    """The mean of the combined maps, each divided by the sum of its absolute values; their spread."""
    members = _members(settings)
    maps = np.stack([each.attribute(subject, each.settings()).combined for each in members])
    normalised = maps / np.maximum(np.abs(maps).sum(axis=1, keepdims=True), np.finfo(float).tiny)
    mean, spread = normalised.mean(axis=0, keepdims=True), normalised.std(axis=0, keepdims=True)
    found = attribution_of(subject, (1,), mean, spread=spread)
    values = {each.name: getattr(found, each.name) for each in fields(found)}
    return AggregateAttribution(**values, agreement=rank_correlation(maps[:, subject.good.cpu().numpy()]))


def _members(settings: AggregateSettings) -> list[AttributionMethod[Any, Attribution]]:
    # Imported here: the list of methods has this one in it.
    from engine.attribution.methods import METHODS

    return [METHODS[name] for name in settings.methods]


def _passes(settings: AggregateSettings, pixels: int) -> int:
    return sum(each.passes(each.settings(), pixels) for each in _members(settings))


def _held(settings: AggregateSettings, pixels: int) -> int:
    return max(each.held(each.settings(), pixels) for each in _members(settings))


def _refuse(settings: AggregateSettings, card: ModelCard, calibration_size: int) -> None:
    for each in _members(settings):
        each.refuse(each.settings(), card, calibration_size)


def _by_seams(settings: AggregateSettings) -> bool:
    return any(each.by_seams(each.settings()) for each in _members(settings))


AGGREGATE = AttributionMethod(
    settings=AggregateSettings,
    needs=frozenset({"forward", "gradient", "decoder"}),
    reference="Bhatt et al. 2020, arXiv 2005.00631",
    attribute=attribute,
    scales=lambda _: (1,),
    units=lambda _: Units("share", "share"),
    passes=_passes,
    held=_held,
    refuse=_refuse,
    by_seams=_by_seams,
)
